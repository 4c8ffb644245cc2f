from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import pytest

import rtcompile.runtime.machine
from rtcompile import runtime
from rtcompile.compile.write_artifact import write_variants
from rtcompile.runtime.artifact import read_artifact
from rtcompile.runtime.machine import check_target

_MACHINE = platform.machine()
_PAGE = 4096


def _variant(name: str, features: list[str], constants: bytes, machine: str = _MACHINE) -> Any:
    target = {"name": name, "machine": machine, "features": features}
    manifest = {"kind": "graph", "target": target, "stages": {"cross": name}, "tables": []}
    return manifest, {"module": f"library of {name}".encode(), "constants": constants}


def _page(value: int, pages: int = 1) -> bytes:
    return bytes([value]) * (_PAGE * pages)


def _with_flags(patch: pytest.MonkeyPatch, *flags: str) -> None:
    patch.setattr(rtcompile.runtime.machine, "_cpu_flags", lambda: frozenset(flags))


def test_the_most_able_variant_that_runs_here_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.rtc"
    shared = _page(1)
    write_variants(
        path,
        [
            _variant("low", ["a"], shared),
            _variant("high", ["a", "b"], shared + _page(2)),
            _variant("other", ["a"], _page(3), machine="other"),
        ],
    )
    for flags, name, constants in (
        (("a",), "low", shared),
        (("a", "b"), "high", shared + _page(2)),
    ):
        _with_flags(monkeypatch, *flags)
        artifact = read_artifact(path)
        check_target(path, artifact.targets)
        assert artifact.manifest["target"]["name"] == name
        assert artifact.manifest["stages"] == {"cross": name}
        assert artifact.module.startswith(f"library of {name}".encode())
        assert artifact.constants.tobytes() == constants
        assert [target["name"] for target in artifact.targets] == ["low", "high", "other"]


def test_constants_that_begin_alike_lie_there_once(tmp_path: Path) -> None:
    path = tmp_path / "a.rtc"
    shared = _page(1, 100)
    write_variants(path, [_variant("low", [], shared), _variant("high", [], shared + _page(2))])
    assert path.stat().st_size < len(shared) * 1.5
    write_variants(path, [_variant("low", [], _page(3, 100)), _variant("high", [], shared)])
    assert path.stat().st_size > len(shared) * 2


def test_a_machine_that_can_run_none_is_told_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.rtc"
    variants = [_variant("x", ["a", "b"], _page(1)), _variant("y", [], _page(1), machine="other")]
    write_variants(path, variants)
    _with_flags(monkeypatch, "a")
    with pytest.raises(runtime.TargetError) as error:
        runtime.load(path)
    message = str(error.value)
    assert "none of its targets" in message
    assert "this CPU lacks b" in message and f"y on other: this machine is {_MACHINE}" in message


def test_damage_to_a_variant_that_is_not_read_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.rtc"
    write_variants(path, [_variant("low", [], _page(1)), _variant("high", [], _page(2))])
    data = path.read_bytes()
    at = data.index(b"library of low")
    path.write_bytes(data[:at] + b"L" + data[at + 1 :])
    with pytest.raises(runtime.ArtifactError, match=r"module\.low"):
        read_artifact(path)


def test_one_variant_is_an_artifact_as_ever(tmp_path: Path) -> None:
    path = tmp_path / "a.rtc"
    write_variants(path, [_variant("low", [], _page(1))])
    artifact = read_artifact(path)
    assert "module" in artifact.manifest["sections"] and len(artifact.targets) == 1
