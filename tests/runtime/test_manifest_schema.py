"""Manifests that lack entries or say them wrongly, with a digest that fits: an ArtifactError."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtcompile import runtime
from rtcompile.compile.write_artifact import write_artifact
from rtcompile.runtime.artifact import HEADER, MAGIC, SCHEMA_VERSION, Artifact, read_artifact
from tests.runtime.served_models import Artifacts

_WRONG: list[Any] = [None, True, -1, 0, 7, 1.5, 2**62, 10**30, "", "x", "é\u4e2d", [], [[]], {}]
_WRONG += [{"x": 1}, [None], ["x", 0]]


@pytest.fixture(scope="module")
def artifact(artifacts: Artifacts) -> Artifact:
    return read_artifact(artifacts["plain"])


@pytest.fixture(scope="module")
def every_side(artifacts: Artifacts) -> Artifact:
    return read_artifact(artifacts["all_sides"])


def _load(artifact: Artifact, manifest: Any, folder: Path) -> None:
    sections = {"module": artifact.module, "constants": artifact.constants.tobytes()}
    path = folder / "changed.rtc"
    write_artifact(path, manifest, sections)
    runtime.load(path)


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in nested objects and lists."""
    entries: Any = ()
    if isinstance(value, dict):
        entries = value.items()
    elif isinstance(value, list):
        places = range(len(value)) if len(value) < 4 else (0, 1, len(value) - 1)
        entries = [(index, value[index]) for index in places]
    for key, one in entries:
        yield (*path, key)
        yield from _places(one, (*path, key))


def _changed(manifest: Any, place: tuple[Any, ...], value: Any, drop: bool) -> Any:
    changed = copy.deepcopy(manifest)
    at = changed
    for key in place[:-1]:
        at = at[key]
    if drop:
        del at[place[-1]]
    else:
        at[place[-1]] = value
    return changed


def _is_refused_by_name_or_loads(artifact: Artifact, manifest: Any, folder: Path) -> None:
    try:
        _load(artifact, manifest, folder)
    except runtime.ArtifactError as error:
        assert len(str(error)) < 8000


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("stages", "cross"), None, r"stages\.cross: an object is needed, not None"),
        (
            ("stages", "cross", "inputs", 1, "dtype"),
            "int7",
            r"cross\.inputs\[1\]\.dtype: one of",
        ),
        (("stages", "user", "workspace_bytes"), 0, r"workspace_bytes: an integer from 64 on"),
        (("stages", "user", "columns", 0, "kind"), "txt", r"stages\.user\.columns\[0\]\.kind: one"),
        (("stages", "cross", "sources", 0), ["user", 99], r"stage 'user' has no output 99"),
        (("stages", "extract_user", "columns_out", 0, "reads"), [99], r"there is no column 99"),
        (("kind",), "forest", r"kind: one of graph, ranking is needed, not 'forest'"),
        (("fields", "item"), {"a": 1}, r"fields\.item: a list is needed"),
        (("serve",), ["nothing"], r"serve\[0\]: there is no stage 'nothing'"),
        (("target", "features"), "avx", r"target\.features: a list is needed"),
        (("stages", "user", "single_row"), 1, r"stages\.user\.single_row: true or false"),
        (("stages", "user", "lookups", 0, "places"), ["x"], r"lookups\[0\]\.places\[0\]: an int"),
        (("stages", "user", "lookups", 0, "origins"), "x", r"lookups\[0\]\.origins: a list"),
        (("stages", "user", "lookups", 0), {"table": "x"}, r"lookups\[0\]\.places: is missing"),
        (("verification", "slack"), "much", r"verification\.slack: a number is needed"),
    ],
)
def test_a_wrong_entry_is_named(
    artifact: Artifact, tmp_path: Path, place: tuple[Any, ...], value: Any, message: str
) -> None:
    with pytest.raises(runtime.ArtifactError, match=message):
        _load(artifact, _changed(artifact.manifest, place, value, False), tmp_path)


@pytest.mark.parametrize(
    "place",
    [
        *(("kind",), ("stages", "cross"), ("stages", "user", "columns"), ("fields", "user")),
        *(("stages", "cross", "single_row"), ("stages", "user", "lookups")),
    ],
)
def test_a_missing_entry_is_named(
    artifact: Artifact, tmp_path: Path, place: tuple[Any, ...]
) -> None:
    with pytest.raises(runtime.ArtifactError, match=rf"{'.'.join(place)}: is missing"):
        _load(artifact, _changed(artifact.manifest, place, None, True), tmp_path)


def test_a_manifest_that_is_no_object(artifact: Artifact, tmp_path: Path) -> None:
    """The file around it is whole, and its digest is right."""
    path = tmp_path / "changed.rtc"
    for text in (b"[]", b"{", b"null", b"[" * 10**5, b"{}", b'{"sections": 1}', b"\xff"):
        write_artifact(path, {}, {"module": b"m", "constants": b"c"})
        _replace_manifest(path, text)
        with pytest.raises(runtime.ArtifactError, match="damaged manifest"):
            runtime.load(path)


def _replace_manifest(path: Path, text: bytes) -> None:
    text = text.ljust(8192)
    digest = hashlib.sha256(text).digest()
    path.write_bytes(HEADER.pack(MAGIC, SCHEMA_VERSION, 0, len(text), digest, bytes(8)) + text)


@pytest.mark.slow
def test_every_entry_may_be_missing_or_wrong(every_side: Artifact, tmp_path: Path) -> None:
    places = [place for place in _places(every_side.manifest) if place[0] != "sections"]
    assert len(places) > 500

    @settings(max_examples=300)
    @given(st.sampled_from(places), st.sampled_from(_WRONG), st.booleans())
    def check(place: tuple[Any, ...], value: Any, drop: bool) -> None:
        changed = _changed(every_side.manifest, place, value, drop)
        _is_refused_by_name_or_loads(every_side, changed, tmp_path)

    check()


@pytest.mark.long
def test_all_mutations_of_a_manifest(every_side: Artifact, tmp_path: Path) -> None:
    for place in _places(every_side.manifest):
        for drop, value in [(True, None), *((False, value) for value in _WRONG)]:
            changed = _changed(every_side.manifest, place, value, drop)
            _is_refused_by_name_or_loads(every_side, changed, tmp_path)


def test_a_manifest_is_what_it_was_written_as(artifact: Artifact, tmp_path: Path) -> None:
    _load(artifact, json.loads(json.dumps(artifact.manifest)), tmp_path)
