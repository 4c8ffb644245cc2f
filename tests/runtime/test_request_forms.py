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
from rtcompile import runtime
from rtcompile.runtime.request.ranking import Ranking
from tests.ranking_model import DIMENSION, FLOAT, USER, small_ranking_model
from tests.runtime.served_models import Artifacts, by_stages, load_case, user_of


@pytest.fixture(scope="module", params=["plain", "pairs"])
def artifact(request: pytest.FixtureRequest, artifacts: Artifacts) -> Path:
    return artifacts[request.param]


def _left(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Of the requests from here on those that compiled code leaves to the runtime."""
    found: list[str] = []
    by_parts = Ranking._by_parts

    def noted(*given: Any) -> Any:
        found.append("left")
        return by_parts(*given)

    monkeypatch.setattr(Ranking, "_by_parts", noted)
    return found


class _Text(str):
    __slots__ = ()


class _List(list[Any]):
    pass


_IDS = [f"i{i}" for i in range(20)]


@pytest.mark.parametrize(
    ("ids", "left"),
    [
        (_IDS, []),
        (tuple(_IDS), []),
        ([], []),
        (_IDS * 3, []),
        (_IDS * 30, []),
        ([*_IDS, b"i0"], ["left"]),
        ([*_IDS, _Text("i0")], ["left"]),
        (_List(_IDS), ["left"]),
        (np.array(_IDS), ["left"]),
    ],
    ids=["list", "tuple", "none", "3 times", "many", "bytes", "subclass", "list one", "array"],
)
def test_ids_of_any_form(
    artifact: Path, monkeypatch: pytest.MonkeyPatch, ids: Any, left: list[str]
) -> None:
    whole, stages = load_case(artifact), by_stages(artifact)
    user = user_of(whole)
    whole.rank(user, _IDS)
    want = stages.rank(user, ids)
    noted = _left(monkeypatch)
    got = whole.rank(user, ids)
    np.testing.assert_array_equal(got["ctr"], want["ctr"])
    assert got["ctr"].shape == (len(ids), 1)
    assert noted == left


@pytest.mark.parametrize(
    ("change", "left"),
    [
        (lambda user: user, []),
        (lambda user: dict(reversed(list(user.items()))), []),
        (lambda user: {_Text(name): value for name, value in user.items()}, []),
        (lambda user: {**user, "tags": "é|b"}, []),
        (MappingProxyType, ["left"]),
        (lambda user: {**user, "tags": _Text("a|b")}, ["left"]),
        (lambda user: {**user, "tags": b"a|b"}, ["left"]),
    ],
    ids=["dict", "another order", "other keys", "not ASCII", "mapping", "subclass", "bytes"],
)
def test_users_of_any_form(
    artifact: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Any], Any],
    left: list[str],
) -> None:
    whole, stages = load_case(artifact), by_stages(artifact)
    user = user_of(whole)
    whole.rank(user, _IDS)
    want = stages.rank(change(user), _IDS)["ctr"]
    noted = _left(monkeypatch)
    np.testing.assert_array_equal(whole.rank(change(user), _IDS)["ctr"], want)
    assert noted == left


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
        for good in ([1] * len(_IDS), tuple(_IDS), np.zeros(len(_IDS), ">f2")):
            found = ranker.rank(user_of(ranker), ids, {"position": good})
            assert found["other"].shape == (len(_IDS), DIMENSION)
        for bad in (5, None, [1], {}, "i" * len(_IDS), np.zeros(3), np.zeros((2, 2)), np.zeros(())):
            with pytest.raises(runtime.RequestError, match="context field 'position'"):
                ranker.rank(user_of(ranker), ids, {"position": bad})
