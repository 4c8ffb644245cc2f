"""The demo's models: compiled beside the original, with and without the real data."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pyarrow.parquet
import pytest

from rtcompile.bench.movielens import (
    FOLDER,
    NAMES,
    Prepared,
    compare,
    prepare,
)
from rtcompile.errors import NetworkError
from rtcompile.models.movielens import data as movielens
from rtcompile.models.movielens.examples import LENGTH, examples, item_fields, requests, split
from rtcompile.offline.arrow_columns import to_table
from rtcompile.offline.extract_file import extract_file


@pytest.fixture(scope="module", params=NAMES)
def prepared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    folder = tmp_path_factory.mktemp("movielens")
    return prepare(request.param, movielens.synthetic(), folder)


def test_compiled_and_original_agree(prepared: Prepared) -> None:
    compared = compare(prepared)
    assert compared.pairs == 300
    assert compared.largest_difference < 1e-5
    assert abs(compared.original_auc - compared.compiled_auc) < 1e-5


def test_the_sample_has_the_data_sets_form() -> None:
    sample = movielens.synthetic()
    assert sample.users.keys() >= {event.user_id for event in sample.events}
    assert sample.items.keys() >= {event.item_id for event in sample.events}
    assert movielens.synthetic() == sample


def test_examples_see_only_what_was_before() -> None:
    sample = movielens.synthetic()
    found = examples(sample)
    assert [len(split(found, part)) for part in ("train", "validate", "test")] == [2400, 300, 300]
    for example, event in zip(found, sample.events, strict=True):
        before = [
            e.item_id
            for e in sample.events
            if e.user_id == event.user_id and e.timestamp < event.timestamp and e.rating >= 4
        ]
        assert list(example.history) == before[::-1][:LENGTH]


def test_requests_hold_the_test_period() -> None:
    sample = movielens.synthetic()
    found = requests(sample)
    assert sum(len(request.items) for request in found) == 300
    assert all(len(request.items) == len(request.labels) for request in found)


def _unreachable(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)


def test_an_unreachable_registry_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _unreachable(monkeypatch, tmp_path)
    with pytest.raises(NetworkError, match="MovieLens-100K, could not be fetched with pip"):
        movielens.load()
    assert not list(tmp_path.rglob("*.whl"))


@pytest.mark.slow
def test_the_demo_goes_on_without_the_registry(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _unreachable(monkeypatch, tmp_path)
    command = [sys.executable, "-m", "rtcompile", "demo", "--keep", str(tmp_path / "built")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "Going on with a synthetic sample instead" in done.stderr
    assert "a synthetic sample, the last tenth in time" in done.stdout
    assert "usual-stack" in done.stdout
    assert (tmp_path / "built" / "din.rtc").exists()


def test_the_wheel_is_read_where_it_is_cached(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _unreachable(monkeypatch, tmp_path)
    folder = tmp_path / "rtcompile"
    folder.mkdir()
    tables = {
        "user": "user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token\n"
        "1\t24\tM\ttechnician\t85711\n",
        "item": "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
        '7\t"Quoted Title\tV\tDrama War\n',
        "inter": "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
        "1\t7\t3\t20\n1\t7\t4\t10\n",
    }
    wheel = folder / "recbole-1.2.1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        for part, text in tables.items():
            file.writestr(f"recbole/dataset_example/ml-100k/ml-100k.{part}", text)
    found = movielens.load()
    assert found.items["7"] == movielens.Item("7", ("quoted", "title"), None, ("Drama", "War"))
    assert [event.timestamp for event in found.events] == [10, 20]


@pytest.mark.slow
def test_training_features_are_the_served_ones(prepared: Prepared, tmp_path: Path) -> None:
    """The same numbers, bit by bit, for every pair of the data set's last tenth."""
    table = item_fields(movielens.synthetic())
    values = zip(*table.values(), strict=True)
    fields = {row[0]: dict(zip(table, row, strict=True)) for row in values}
    rows, online = [], []
    for request in prepared.requests:
        columns = prepared.ranker.extract(request.user, request.items)
        seen = {name: to_table({name: column})[name] for name, column in columns.items()}
        for place, item in enumerate(request.items):
            rows.append({**request.user, **fields[item]})
            online.append({n: c[place if len(c) > 1 else 0] for n, c in seen.items()})
    source, output = tmp_path / "rows.jsonl", tmp_path / "features.parquet"
    source.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    assert len(rows) == 300
    for config in (prepared.artifact, FOLDER / f"fg_{prepared.name}.json"):
        extract_file(config, source, output, workers=1, chunk_rows=100)
        found = pyarrow.parquet.read_table(output)
        for place, values in enumerate(online):
            for name, value in values.items():
                assert found[name][place].equals(value), (place, name)
