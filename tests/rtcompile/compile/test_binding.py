"""Features and graph inputs must fit; what does not is told in full."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

import rtcompile
from rtcompile.errors import BindingError, ConfigError, DataError, EmbeddingsError
from tests.ranking_model import FEATURES, RankingModel, items, ranking_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> RankingModel:
    return ranking_model(tmp_path_factory.mktemp("binding"))


def _build(model: RankingModel, tmp_path: Path, **options: Any) -> None:
    given = {"features": model.features, "embeddings": model.embeddings, **options}
    output = tmp_path / "out.rtc"
    try:
        rtcompile.build(model.onnx, rtcompile.BuildOptions(**given), output=output)
    except rtcompile.RtcompileError:
        assert list(tmp_path.glob("*.rtc")) == []
        raise


def _changed(tmp_path: Path, change: Any) -> Path:
    features = copy.deepcopy(FEATURES)
    change(features)
    path = tmp_path / "fg.json"
    path.write_text(json.dumps({"features": features}))
    return path


def _rename(index: int, name: str) -> Any:
    return lambda features: features[index].update(feature_name=name)


def _set(index: int, **keys: Any) -> Any:
    return lambda features: features[index].update(keys)


@pytest.mark.parametrize(
    ("change", "messages"),
    [
        (
            _rename(1, "agee"),
            [
                "graph input 'age', float32 [n]: no feature feeds it; did you mean feature 'agee'",
                "features[1]: no graph input is called 'agee'; did you mean the input 'age'",
            ],
        ),
        (lambda f: f.append({**f[0], "feature_name": "extra"}), ["input is called 'extra'"]),
        (lambda f: f.pop(0), ["graph input 'user_id', int64 [n]: no feature feeds it"]),
        (lambda f: f.pop(10), ["'hist__len', int64 [n, 1]: no feature", "'hist__price'"]),
        (_set(5, value_dim=2), ["'size', float32 [n, 3]: but features[5] has value_dim 2"]),
        (_set(7, value_dim=3), ["'pair', int64 [n, 2]: features[7] has value_dim 3, and 2 of"]),
        (_set(0, num_buckets=21), ["its table has 20 rows, but features[0] has 21 ids"]),
        (_set(10, sequence_length=3), ["features[10].features[0] gives [n, 3, ...]"]),
        (_set(4, boundaries=None), ["'price', int64 [n]: but features[4] gives numbers, not"]),
    ],
)
def test_misfits(model: RankingModel, tmp_path: Path, change: Any, messages: list[str]) -> None:
    with pytest.raises(BindingError) as caught:
        _build(model, tmp_path, features=_changed(tmp_path, change))
    for message in messages:
        assert message in str(caught.value)


def _tables(tmp_path: Path, **shapes: tuple[int, ...]) -> Path:
    path = tmp_path / "tables.safetensors"
    save_file({n: np.zeros(s, np.float32) for n, s in shapes.items()}, str(path))
    return path


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ({"tag": (30, 8)}, "table 'words' is missing; give it with --embeddings"),
        ({"tag": (30, 7), "words": (4, 8)}, "table 'tag' has dimension 7, but .* takes 8"),
        ({"tag": (29, 8), "words": (4, 8)}, "table 'tag' has 29 rows, but .* has 30 ids"),
        ({"tag": (8, 30), "words": (4, 8)}, "dimension 30, but .* takes 8; is the table transp"),
        ({"tag": (30, 16), "words": (4, 8)}, "table 'tag' has dimension 16, but .* takes 8"),
        ({"tag": (30,)}, r"table 'tag' has shape \(30,\)"),
    ],
)
def test_tables(
    model: RankingModel, tmp_path: Path, shapes: dict[str, tuple[int, ...]], message: str
) -> None:
    with pytest.raises(EmbeddingsError, match=message):
        _build(model, tmp_path, embeddings=_tables(tmp_path, **shapes))


def test_the_dimension_that_a_config_names(model: RankingModel, tmp_path: Path) -> None:
    config = _changed(tmp_path, _set(2, embedding_dim=16))
    with pytest.raises(
        EmbeddingsError, match=r"features\[2\] has embedding_dim 16, but .*'tags' takes 8"
    ):
        _build(model, tmp_path, features=config)


def test_embeddings_that_cannot_be_read(model: RankingModel, tmp_path: Path) -> None:
    with pytest.raises(EmbeddingsError, match="cannot be read as safetensors"):
        _build(model, tmp_path, embeddings=tmp_path / "none.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"nonsense")
    with pytest.raises(EmbeddingsError, match="cannot be read as safetensors"):
        _build(model, tmp_path, embeddings=tmp_path / "bad.safetensors")
    (tmp_path / "empty").mkdir()
    with pytest.raises(EmbeddingsError, match=r"no \*\.safetensors file"):
        _build(model, tmp_path, embeddings=tmp_path / "empty")


@pytest.mark.slow
def test_a_folder_of_tables_and_real_rows(model: RankingModel, tmp_path: Path) -> None:
    folder = tmp_path / "tables"
    folder.mkdir()
    (folder / "all.safetensors").write_bytes(model.embeddings.read_bytes())
    table = items(3)
    rows = [
        {
            **{name: values[row] for name, values in table.items()},
            **{"user_id": row, "age": 30, "tags": "a", "position": 1},
            **{"hist__item_id": [1], "hist__tags": [["a"]], "hist__price": [1.0]},
            **{"seen": {"red": 1}, "nested": "red^1:2", "query": "red"},
        }
        for row in range(3)
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    _build(model, tmp_path, embeddings=folder, calibration=path)
    path.write_text('{"user_id": 1}\n')
    with pytest.raises(DataError, match=r"'age', 'tags'.* are missing"):
        _build(model, tmp_path / "..", embeddings=folder, calibration=path)


def test_options_that_need_features(model: RankingModel, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="embeddings belong to a feature config"):
        _build(model, tmp_path, features=None)
