"""Imports go one way, and the runtime stays thin."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from rtcompile import runtime

_ROOT = Path(__file__).parents[2]
_ALLOWED = {
    "runtime": {"rtcompile.runtime", "numpy", "tvm_ffi"},
    "relay_passes": {"rtcompile.relay_passes", "numpy", "tvm", "tvm_ffi"},
}


# Only where a file of that format is read, and not before.
_LAZY = {("read_items.py", "pyarrow")}


def _imports(path: Path) -> set[str]:
    """The packages that a file imports; of this one, its rooms."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "rtcompile":
            found.update(f"rtcompile.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return {_room(name) for name in found} - set(sys.stdlib_module_names)


def _room(module: str) -> str:
    parts = module.split(".")
    return ".".join(parts[: 2 if parts[0] == "rtcompile" else 1])


@pytest.mark.parametrize("package", sorted(_ALLOWED))
def test_no_upward_imports(package: str) -> None:
    for path in (_ROOT / package).rglob("*.py"):
        lazy = {name for file, name in _LAZY if file == path.name}
        assert _imports(path) - lazy <= _ALLOWED[package], path


def test_the_runtime_pulls_in_nothing_heavy() -> None:
    code = "import sys, rtcompile; rtcompile.load; print(' '.join(sys.modules))"
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"tvm", "onnx", "onnxruntime", "pyarrow", "click", "torch"}.intersection(output)
    assert not [name for name in output if name.startswith("rtcompile.relay_passes")]


def test_one_module_imports_tvm_ffi() -> None:
    modules = (_ROOT / "runtime").rglob("*.py")
    assert [path.name for path in modules if "tvm_ffi" in _imports(path)] == ["ffi.py"]


def test_the_folders_names_stay_free() -> None:
    """A user's own packages may be called as the top-level folders are."""
    folders = {path.name for path in _ROOT.iterdir() if path.is_dir()}
    for path in _ROOT.rglob("*.py"):
        if path.relative_to(_ROOT).parts[0] not in ("findings", "src"):
            assert not _imports(path) & (folders - {"rtcompile", "tests"}), path


def test_all_is_what_the_runtime_exposes() -> None:
    public = {name for name, value in vars(runtime).items() if isinstance(value, type)}
    assert public | {"load"} == set(runtime.__all__)
