"""Imports go one way, and the runtime stays thin."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import runtime

_ROOT = Path(__file__).parents[2]
_ALLOWED = {
    "runtime": {"runtime", "numpy", "tvm_ffi"},
    "relay_passes": {"relay_passes", "numpy", "tvm", "tvm_ffi"},
}


# Only where a file of that format is read, and not before.
_LAZY = {("read_items.py", "pyarrow")}


def _imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names)


@pytest.mark.parametrize("package", sorted(_ALLOWED))
def test_no_upward_imports(package: str) -> None:
    for path in (_ROOT / package).rglob("*.py"):
        lazy = {name for file, name in _LAZY if file == path.name}
        assert _imports(path) - lazy <= _ALLOWED[package], path


def test_the_runtime_pulls_in_nothing_heavy() -> None:
    code = "import runtime, sys; print(' '.join(sys.modules))"
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    heavy = {"tvm", "onnx", "onnxruntime", "rtcompile", "relay_passes", "pyarrow", "click", "torch"}
    assert not heavy.intersection(output)


def test_one_module_imports_tvm_ffi() -> None:
    modules = (_ROOT / "runtime").rglob("*.py")
    assert [path.name for path in modules if "tvm_ffi" in _imports(path)] == ["ffi.py"]


def test_all_is_what_the_runtime_exposes() -> None:
    public = {name for name, value in vars(runtime).items() if isinstance(value, type)}
    assert public | {"load"} == set(runtime.__all__)
