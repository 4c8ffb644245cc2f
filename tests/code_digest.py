"""A digest of the code, and of libraries, that a long run's results rest on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

__all__ = ["code_digest"]

_ROOT = Path(__file__).resolve().parents[1]


def code_digest(sources: Sequence[str], packages: Sequence[str]) -> str:
    """Of all Python files in folders of the repository, and of the versions of packages."""
    digest = hashlib.sha256()
    for package in packages:
        digest.update(f"{package} {version(package)}\n".encode())
    for path in sorted(p for source in sources for p in (_ROOT / source).rglob("*.py")):
        digest.update(str(path.relative_to(_ROOT)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]
