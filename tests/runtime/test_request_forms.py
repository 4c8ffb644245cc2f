"""Users and ids of any form give what the stages give one after the other, and the same errors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

import rtcompile
import runtime
from runtime.serve import Served
from tests.ranking_model import DIMENSION, FLOAT, USER, small_ranking_model
from tests.runtime.served_models import CASES, build_case, by_stages, load_case, user_of


@pytest.fixture(scope="module", params=["plain", "pairs"])
def artifact(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_case(tmp_path_factory.mktemp(request.param), CASES[request.param])


def _by_parts(ranker: runtime.Ranker, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each request from here on, whether compiled code left the reading to the runtime."""
    found: list[bool] = []
    answer = Served.answer

    def noted(self: Served, user: object, items: Any) -> Any:
        given = answer(self, user, items)
        found.append(given is None)
        return given

    monkeypatch.setattr(Served, "answer", noted)
    return found


class _Text(str):
    __slots__ = ()


class _List(list[Any]):
    pass


_IDS = [f"i{i}" for i in range(20)]


@pytest.mark.parametrize(
    ("ids", "by_parts"),
    [
        (_IDS, [False]),
        (tuple(_IDS), [False]),
        ([], [False]),
        (_IDS * 3, [False]),
        ([*_IDS, b"i0"], [True]),
        ([*_IDS, _Text("i0")], [True]),
        (_List(_IDS), []),
        (np.array(_IDS), []),
    ],
    ids=["list", "tuple", "none", "twice", "bytes", "subclass", "list subclass", "array"],
)
def test_ids_of_any_form(
    artifact: Path, monkeypatch: pytest.MonkeyPatch, ids: Any, by_parts: list[bool]
) -> None:
    whole, stages = load_case(artifact), by_stages(artifact)
    user = user_of(whole)
    whole.rank(user, _IDS)
    noted = _by_parts(whole, monkeypatch)
    got, want = whole.rank(user, ids), stages.rank(user, ids)
    np.testing.assert_array_equal(got["ctr"], want["ctr"])
    assert got["ctr"].shape == (len(ids), 1)
    assert noted == by_parts


@pytest.mark.parametrize(
    ("change", "by_parts"),
    [
        (lambda user: user, False),
        (lambda user: dict(reversed(list(user.items()))), False),
        (lambda user: {_Text(name): value for name, value in user.items()}, False),
        (MappingProxyType, True),
        (lambda user: {**user, "tags": _Text("a|b")}, True),
        (lambda user: {**user, "tags": b"a|b"}, True),
    ],
    ids=["dict", "another order", "other keys", "mapping", "subclass", "bytes"],
)
def test_users_of_any_form(
    artifact: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Any], Any],
    by_parts: bool,
) -> None:
    whole, stages = load_case(artifact), by_stages(artifact)
    user = user_of(whole)
    whole.rank(user, _IDS)
    noted = _by_parts(whole, monkeypatch)
    want = stages.rank(change(user), _IDS)["ctr"]
    np.testing.assert_array_equal(whole.rank(change(user), _IDS)["ctr"], want)
    assert noted == [by_parts]


@pytest.mark.parametrize(
    ("user", "ids"),
    [
        ({"tags": "a"}, _IDS),
        (np.zeros(3), _IDS),
        (defaultdict(str, user_id=3), _IDS),
        ({**USER, "more": 1}, _IDS),
        ([], _IDS),
        (None, _IDS),
        ("user", _IDS),
        ({}, _IDS),
        (USER, [*_IDS, "never"]),
        (USER, [*_IDS, None]),
        (USER, [*_IDS, True]),
        (USER, "i1"),
        (USER, None),
        (USER, {"i1"}),
    ],
    ids=str,
)
def test_bad_requests_are_refused_as_by_stages(artifact: Path, user: Any, ids: Any) -> None:
    whole, stages = load_case(artifact), by_stages(artifact)
    given = user_of(whole) if user is USER else user
    found = []
    for ranker in (whole, stages):
        with pytest.raises(runtime.RequestError) as error:
            ranker.rank(given, ids)
        found.append((type(error.value), str(error.value)))
        assert ranker.rank(user_of(ranker), _IDS)["ctr"].shape == (20, 1)
    assert found[0] == found[1]


def test_a_refused_request_may_have_moved_memory(artifact: Path) -> None:
    ranker, stages = load_case(artifact), by_stages(artifact)
    user = user_of(ranker)
    assert ranker._ranking is not None
    for count in (100, 250):
        with pytest.raises(runtime.UnknownItemError, match="'never'"):
            ranker.rank(user, [*(f"i{i}" for i in range(count)), "never"])
        want = stages.rank(user, _IDS)["ctr"]
        np.testing.assert_array_equal(ranker.rank(user, _IDS)["ctr"], want)
        np.testing.assert_array_equal(ranker.rank(user, np.array(_IDS))["ctr"], want)
    assert len(ranker._ranking._idle) == 1


def test_ids_that_change_meanwhile(artifact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread appends one, after the arrays for the answer were made."""
    ranker, stages, ids = load_case(artifact), by_stages(artifact), list(_IDS)
    user, empty = user_of(ranker), np.empty
    ranker.rank(user, ids)

    def appended(*arguments: Any) -> Any:
        if len(ids) == len(_IDS):
            ids.append("i250")
        return empty(*arguments)

    monkeypatch.setattr("runtime.serve.np.empty", appended)
    got = ranker.rank(user, ids)["ctr"]
    monkeypatch.undo()
    assert got.shape == (len(_IDS) + 1, 1)
    np.testing.assert_array_equal(got, stages.rank(user, ids)["ctr"])


def test_an_interrupted_request_leaves_no_memory(
    artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may point where nothing is any more."""
    ranker = load_case(artifact)
    user = user_of(ranker)
    want = ranker.rank(user, _IDS)["ctr"]
    assert ranker._ranking is not None and len(ranker._ranking._idle) == 1

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Served, "answer", interrupt)
    with pytest.raises(KeyboardInterrupt):
        ranker.rank(user, _IDS)
    monkeypatch.undo()
    assert ranker._ranking._idle == []
    np.testing.assert_array_equal(ranker.rank(user, _IDS)["ctr"], want)


def test_fields_that_only_another_output_reads_are_asked_for(tmp_path: Path) -> None:
    """However the ids come."""
    model = small_ranking_model(tmp_path, "user_id", "item_id", "position")
    graph = onnx.load(model.onnx)
    sides = [f"{name}_flat" for name in ("user_id", "item_id")]
    graph.graph.node.append(helper.make_node("Add", sides, ["other"]))
    graph.graph.output.append(helper.make_tensor_value_info("other", FLOAT, ["n", DIMENSION]))
    onnx.save(graph, model.onnx)
    options = rtcompile.BuildOptions(
        features=model.features, embeddings=model.embeddings, outputs=("other",)
    )
    rtcompile.build(model.onnx, options, output=tmp_path / "m.rtc")
    ranker = load_case(tmp_path / "m.rtc")
    assert ranker.manifest["fields"]["context"] == ["position"]
    for ids in (_IDS, np.array(_IDS)):
        with pytest.raises(runtime.RequestError, match="missing 'position'"):
            ranker.rank(user_of(ranker), ids)
        found = ranker.rank(user_of(ranker), ids, {"position": [1] * len(_IDS)})
        assert found["other"].shape == (len(_IDS), DIMENSION)
