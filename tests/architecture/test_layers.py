"""Imports go one way, and the runtime stays thin."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import rtcompile
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


# Folders, and modules at the top of a package, from the lowest on: each imports only what stands
# before it. So there is no circle among them, and no import upwards.
_ROOMS = [
    "runtime/abi",
    "runtime/columns",
    "runtime/ffi",
    "runtime/shorten",
    "runtime/errors",
    "runtime/machine",
    "runtime/memory",
    "runtime/process",
    "runtime/encoding",
    "runtime/manifest_schema",
    "runtime/artifact",
    "runtime/stages",
    "runtime/counters",
    "runtime/items",
    "runtime/request",
    "runtime/ranker",
    "relay_passes/errors",
    "relay_passes/matching",
    "relay_passes/dialect",
    "relay_passes/analysis",
    "relay_passes/report",
    "relay_passes/rows",
    "relay_passes/stage",
    "relay_passes/lift",
    "relay_passes/exact",
    "relay_passes/kernels",
    "relay_passes/simplify",
    "relay_passes/pipeline",
    "rtcompile/codegen/emit",
    "rtcompile/errors",
    "rtcompile/extras",
    "rtcompile/features",
    "rtcompile/files",
    "rtcompile/features/conversion",
    "rtcompile/frontends/onnx",
    "rtcompile/operators",
    "rtcompile/features/types",
    "rtcompile/features/config",
    "rtcompile/features/reference",
    "rtcompile/options",
    "rtcompile/contained_build",
    "rtcompile/targets",
    "rtcompile/codegen/program",
    "rtcompile/codegen/kernels",
    "rtcompile/codegen/features",
    "rtcompile/codegen/lowering",
    "rtcompile/codegen/entry",
    "rtcompile/codegen/library",
    "rtcompile/tuning/tuned/kernels",
    "rtcompile/tuning/tuned",
    "rtcompile/compile",
    "rtcompile/verification",
    "rtcompile/quantize",
    "rtcompile/driver",
    "rtcompile/build_worker",
    "rtcompile/command",
    "rtcompile/offline",
    "models/movielens",
    "models/workloads",
    "models/zoo",
    "rtcompile/bench",
    "rtcompile/tuning",
    "rtcompile/cli",
    "rtcompile/__main__",
]
# What a package hands on from its modules, when it is asked for.
_FRONT_DOORS = {"rtcompile/__init__.py", "rtcompile/features/__init__.py", "runtime/__init__.py"}


def _room_of(module: str) -> str | None:
    """The room of a dotted module of this project."""
    parts = module.split(".")
    if parts[0] != "rtcompile" or len(parts) == 1:
        return None
    path = "/".join(parts[1:] if parts[1] in _TOP else parts)
    return next((room for room in reversed(_BY_LENGTH) if f"{path}/".startswith(f"{room}/")), path)


_TOP = ("runtime", "relay_passes", "models", "tuning_logs")
_BY_LENGTH = sorted(_ROOMS, key=len)


def _modules(path: Path) -> set[str]:
    """The modules that a file imports, at its top or inside of a function."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module in ("rtcompile", *_packages()):
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


@cache
def _packages() -> frozenset[str]:
    return frozenset(f"rtcompile.{name}" for name in _TOP)


def _sources() -> Iterator[tuple[Path, str]]:
    for top in ("runtime", "relay_passes", "models", "rtcompile"):
        for path in (_ROOT / top).rglob("*.py"):
            parts = path.relative_to(_ROOT).with_suffix("").parts
            dotted = ".".join(parts if top == "rtcompile" else ("rtcompile", *parts))
            yield path, dotted.removesuffix(".__init__")


def test_rooms_import_what_stands_below() -> None:
    place, wrong = {room: number for number, room in enumerate(_ROOMS)}, []
    for path, module in _sources():
        where = str(path.relative_to(_ROOT))
        if where in _FRONT_DOORS:
            continue
        room = _room_of(module)
        for used in filter(None, map(_room_of, _modules(path))):
            if used not in _TOP and used != room and place.get(used, 0) >= place.get(room or "", 0):
                wrong.append(f"{where}: {room} imports {used}")
    assert not wrong


def test_every_room_is_in_the_table() -> None:
    rooms = {_room_of(module) for path, module in _sources() if path.name != "__init__.py"}
    assert rooms == set(_ROOMS)


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
        if path.relative_to(_ROOT).parts[0] != "findings":
            assert not _imports(path) & (folders - {"rtcompile", "tests"}), path


def test_names_are_found_when_they_are_asked_for() -> None:
    for module in (rtcompile, runtime):
        assert all(getattr(module, name).__name__ == name for name in module.__all__)
    assert {*runtime.__all__, "BuildOptions", "RtcompileError", "build", "verify"} == {
        *rtcompile.__all__
    }


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_the_command_line_answers_without_numpy(option: str) -> None:
    code = (
        "import sys; from rtcompile.cli import main\n"
        f"main([{option!r}], standalone_mode=False)\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"numpy", "tvm", "tvm_ffi", "onnx", "pyarrow"}.intersection(done.stderr.split())
