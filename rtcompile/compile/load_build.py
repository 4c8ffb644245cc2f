"""A build that is not written yet, as a ranker: to be compared, and thrown away."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rtcompile import runtime
from rtcompile.compile.write_artifact import write_artifact
from rtcompile.files.pieces import Sections
from rtcompile.files.scratch_folder import scratch_folder

__all__ = ["loaded"]


@contextmanager
def loaded(manifest: dict[str, Any], sections: Sections) -> Iterator[runtime.Ranker]:
    """The parts of an artifact, loaded from a file that goes when it is no longer used."""
    with scratch_folder() as folder:
        path = folder / "candidate.rtc"
        write_artifact(path, manifest, sections)
        yield runtime.load(path)
