"""Features of whole files: in chunks, on several processes, interrupted and gone on with."""

from __future__ import annotations

import datetime
import json
import os
import pickle
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.csv
import pyarrow.parquet
import pytest

from rtcompile.errors import DataError
from rtcompile.features import compile_features
from rtcompile.offline.extract_file import extract_file
from rtcompile.offline.parts import Parts

CONFIG: dict[str, Any] = {
    "features": [
        {
            "feature_type": "id_feature",
            "feature_name": "tags",
            "expression": "user:tags",
            "separator": "|",
            "hash_bucket_size": 1000,
            "weighted": True,
        },
        {
            "feature_type": "raw_feature",
            "feature_name": "price",
            "expression": "item:price",
            "default_value": "0.1",
        },
        {
            "feature_type": "raw_feature",
            "feature_name": "place",
            "expression": "item:place",
            "value_dim": 2,
            "separator": "|",
        },
        {
            "feature_type": "sequence_id_feature",
            "feature_name": "clicks",
            "expression": "user:clicks",
            "num_buckets": 100,
            "default_value": "0",
            "separator": "|",
        },
        {
            "feature_type": "sequence_raw_feature",
            "feature_name": "prices",
            "expression": "user:prices",
            "value_dim": 2,
            "separator": "|",
        },
    ]
}
ROWS = 250


def _rows(count: int = ROWS) -> list[dict[str, str | None]]:
    return [
        {
            "tags": "|".join(f"t{k}:{k}.5" for k in range(i % 4)) or None,
            "price": None if i % 7 == 0 else f"{i / 3:.3f}",
            "place": f"{i}|{-i}",
            "clicks": ";".join(str(k % 100) for k in range(i % 5)) or None,
            "prices": "1|2;3|4" if i % 2 else None,
            "surplus": "007",
        }
        for i in range(count)
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("offline")
    (path / "fg.json").write_text(json.dumps(CONFIG))
    table = pyarrow.Table.from_pylist(_rows())
    pyarrow.parquet.write_table(table, path / "rows.parquet", row_group_size=70)
    pyarrow.csv.write_csv(table, path / "rows.csv")
    lines = "".join(f"{json.dumps(row)}\n" for row in _rows())
    (path / "rows.jsonl").write_text(lines + "\n")
    return path


@pytest.fixture(scope="module")
def expected(folder: Path) -> Any:
    """Of the whole table at once."""
    output = folder / "expected.parquet"
    assert extract_file(folder / "fg.json", folder / "rows.parquet", output, workers=1) == ROWS
    table = pyarrow.parquet.read_table(output)
    assert table.num_rows == ROWS
    return table


def _types(table: Any) -> dict[str, str]:
    return {field.name: str(field.type) for field in table.schema}


def test_the_columns_have_the_features_types(expected: Any) -> None:
    assert _types(expected) == {
        "tags": "list<element: int64>",
        "tags__weights": "list<element: float>",
        "price": "float",
        "place": "list<element: float>",
        "clicks": "list<element: list<element: int64>>",
        "prices": "list<element: list<element: float>>",
    }
    first = expected.slice(3, 1).to_pylist()[0]
    assert first["tags__weights"] == [0.5, 1.5, 2.5]
    assert first["place"] == [3.0, -3.0]
    assert first["clicks"] == [[0], [1], [2]]
    assert first["prices"] == [[1.0, 2.0], [3.0, 4.0]]


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_every_format_in_chunks(folder: Path, tmp_path: Path, expected: Any, suffix: str) -> None:
    source, seen = folder / f"rows{suffix}", []
    arguments: dict[str, Any] = {"chunk_rows": 40, "progress": lambda *given: seen.append(given)}
    parquet, lines = tmp_path / "f.parquet", tmp_path / "f.jsonl"
    assert extract_file(folder / "fg.json", source, parquet, workers=1, **arguments) == ROWS
    assert pyarrow.parquet.read_table(parquet).equals(expected)
    assert seen == sorted(seen)
    assert seen[-1][0] == seen[-1][1]
    assert extract_file(folder / "fg.json", source, lines, workers=1, **arguments) == ROWS
    assert [json.loads(line) for line in lines.read_text().splitlines()] == expected.to_pylist()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.jsonl", "f.parquet"]


@pytest.mark.slow
def test_several_processes(folder: Path, tmp_path: Path, expected: Any) -> None:
    output = tmp_path / "f.parquet"
    arguments = (folder / "fg.json", folder / "rows.csv", output)
    assert extract_file(*arguments, workers=2, chunk_rows=30) == ROWS
    assert pyarrow.parquet.read_table(output).equals(expected)


@pytest.mark.slow
def test_an_interrupted_run_goes_on(
    folder: Path, tmp_path: Path, expected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "f.parquet"
    written, most = list[int](), 3
    write = Parts.write

    def count(parts: Parts, index: int, table: Any) -> None:
        if len(written) == most:
            raise KeyboardInterrupt
        written.append(index)
        write(parts, index, table)

    monkeypatch.setattr(Parts, "write", count)
    arguments = (folder / "fg.json", folder / "rows.parquet", output)
    with pytest.raises(KeyboardInterrupt):
        extract_file(*arguments, workers=1, chunk_rows=50)
    assert not output.exists()
    most = 5
    assert extract_file(*arguments, workers=1, chunk_rows=50) == ROWS
    assert written == [0, 1, 2, 3, 4]
    assert pyarrow.parquet.read_table(output).equals(expected)


@pytest.mark.slow
def test_a_killed_run_leaves_whole_parts(folder: Path, tmp_path: Path) -> None:
    source, output = tmp_path / "rows.jsonl", tmp_path / "f.jsonl"
    source.write_text("".join(f"{json.dumps(row)}\n" for row in _rows(500)) * 200)
    code = (
        "import sys; from pathlib import Path\n"
        "from rtcompile.offline.extract_file import extract_file\n"
        "extract_file(*map(Path, sys.argv[1:]), workers=1, chunk_rows=1000)"
    )
    command = [sys.executable, "-c", code, str(folder / "fg.json"), str(source), str(output)]
    running = subprocess.Popen(command)
    parts = tmp_path / "f.jsonl.parts"
    while len(list(parts.glob("00*"))) < 3 and running.poll() is None:
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert not output.exists()
    made = sorted(parts.glob("00*"))[:3]
    for part in made:
        assert len(part.read_text().splitlines()) == 1000
    subprocess.run(command, check=True)
    lines = output.read_text().splitlines()
    assert len(lines) == 100_000
    assert lines[:500] * 200 == lines


def test_other_work_does_not_take_the_parts(folder: Path, tmp_path: Path, expected: Any) -> None:
    output = tmp_path / "f.parquet"
    parts = tmp_path / "f.parquet.parts"
    parts.mkdir()
    (parts / "identity").write_text("of another config")
    (parts / "000000").write_text("nonsense")
    extract_file(folder / "fg.json", folder / "rows.csv", output, workers=1)
    assert pyarrow.parquet.read_table(output).equals(expected)


def test_no_rows(folder: Path, tmp_path: Path, expected: Any) -> None:
    (tmp_path / "rows.csv").write_text("tags,price,place,clicks,prices\n")
    assert extract_file(folder / "fg.json", tmp_path / "rows.csv", tmp_path / "f.parquet") == 0
    table = pyarrow.parquet.read_table(tmp_path / "f.parquet")
    assert table.num_rows == 0
    assert _types(table) == _types(expected)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("rows.csv", "", "empty; a line of column names"),
        ("rows.csv", "tags,price\n1,2\n", "columns 'place', 'clicks', 'prices' are missing"),
        ("rows.csv", "tags,price,place,clicks,prices\n1,2\n", "CSV parse error"),
        ("rows.jsonl", "{}\n", "columns 'tags', 'price'"),
        ("rows.jsonl", "{\n", "line 1: not JSON"),
        ("rows.jsonl", "\n[1]\n", "line 2: an object is needed"),
        ("rows.parquet", "PAR1", "not Parquet"),
        ("rows.txt", "x", "rows come as .parquet, .csv, .jsonl"),
        (
            "rows.jsonl",
            '{"tags": {}, "price": [{}], "place": 0, "clicks": 0, "prices": 0}',
            "line 1: column 'price': dict is not a value",
        ),
    ],
)
def test_bad_files(folder: Path, tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=message):
        extract_file(folder / "fg.json", tmp_path / name, tmp_path / "f.parquet", workers=1)
    assert not (tmp_path / "f.parquet").exists()


def test_an_extractor_travels(expected: Any) -> None:
    extractor = compile_features(CONFIG)
    again = pickle.loads(pickle.dumps(extractor))
    table = pyarrow.Table.from_pylist(_rows())
    for name, column in extractor(table).items():
        assert column.values.tobytes() == again(table)[name].values.tobytes()
    assert again.digest() == extractor.digest()


@pytest.mark.parametrize("workers", [1, 2])
def test_what_became_of_values_is_summed(folder: Path, tmp_path: Path, workers: int) -> None:
    """Over chunks, workers, and the parts of a run that was interrupted."""
    rows = [{**row, "price": "x" if i % 50 == 9 else row["price"]} for i, row in enumerate(_rows())]
    source, output = tmp_path / "rows.jsonl", tmp_path / "out.jsonl"
    source.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    missing = sum(row["price"] in (None, "x") for row in rows)
    found: list[Any] = []

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    def run(**keys: Any) -> None:
        extract_file(
            folder / "fg.json", source, output, workers=workers, chunk_rows=60, **keys,
            report=found.append,
        )  # fmt: skip

    with pytest.raises(KeyboardInterrupt):
        run(progress=stop)
    run()
    assert found[-1]["price"] == {"defaulted": missing, "unparsed": 5}
    # In the second row of the file's first chunk that has one.
    with pytest.raises(DataError, match=r"line 10: feature 'price': column 'price': 'x' cannot"):
        run(strict=True)


@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet"])
def test_the_row_of_the_file_is_named(folder: Path, tmp_path: Path, name: str) -> None:
    rows = _rows()
    rows[171]["clicks"] = "1;2;99999999999999999999"
    table, source = pyarrow.Table.from_pylist(rows), tmp_path / name
    write = pyarrow.csv.write_csv if name == "rows.csv" else pyarrow.parquet.write_table
    write(table, source)
    arguments: dict[str, Any] = {"workers": 1, "strict": True, "chunk_rows": 64}
    with pytest.raises(DataError, match=r"row 172: feature 'clicks': '99999999999999999999' ca"):
        extract_file(folder / "fg.json", source, tmp_path / "f.jsonl", **arguments)


def test_a_column_of_a_wrong_type_is_of_no_row(folder: Path, tmp_path: Path) -> None:
    dates = pyarrow.array([datetime.date(2024, 1, 1)] * ROWS)
    table = pyarrow.Table.from_pylist(_rows()).drop_columns("price").append_column("price", dates)
    pyarrow.parquet.write_table(table, tmp_path / "rows.parquet")
    with pytest.raises(DataError, match=r"rows\.parquet: column 'price': date32"):
        extract_file(folder / "fg.json", tmp_path / "rows.parquet", tmp_path / "f.jsonl", workers=1)


@contextmanager
def _pipe(path: Path, data: bytes | None = None) -> Iterator[list[bytes]]:
    """A named pipe that a thread writes the data to, or reads to its end."""
    os.mkfifo(path)
    found: list[bytes] = []
    work = (lambda: path.write_bytes(data)) if data else lambda: found.append(path.read_bytes())
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    yield found
    thread.join(30)


@pytest.mark.parametrize(
    ("form", "workers"),
    [("jsonl", 1), ("arrow", 1), ("parquet", 1), pytest.param("arrow", 2, marks=pytest.mark.slow)],
)
def test_features_to_a_pipe(
    folder: Path, tmp_path: Path, expected: Any, form: str, workers: int
) -> None:
    arguments: dict[str, Any] = {"workers": workers, "output_form": form, "chunk_rows": 60}
    with _pipe(tmp_path / "pipe") as found:
        source = folder / "rows.parquet"
        assert extract_file(folder / "fg.json", source, tmp_path / "pipe", **arguments) == ROWS
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]
    whole = found[0]
    if form == "jsonl":
        assert [json.loads(line) for line in whole.splitlines()] == expected.to_pylist()
    elif form == "arrow":
        assert pyarrow.ipc.open_stream(whole).read_all().equals(expected)
    else:
        assert pyarrow.parquet.read_table(pyarrow.BufferReader(whole)).equals(expected)


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_rows_from_a_pipe(folder: Path, tmp_path: Path, expected: Any, form: str) -> None:
    data, output = (folder / f"rows.{form}").read_bytes(), tmp_path / "f.arrows"
    arguments: dict[str, Any] = {"workers": 1, "input_form": form, "chunk_rows": 60}
    with _pipe(tmp_path / "pipe", data):
        assert extract_file(folder / "fg.json", tmp_path / "pipe", output, **arguments) == ROWS
    assert pyarrow.ipc.open_stream(output.read_bytes()).read_all().equals(expected)


def test_parquet_from_a_pipe_is_refused(folder: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "rows.parquet")
    with pytest.raises(DataError, match="a pipe or a device; Parquet is read from its end"):
        extract_file(folder / "fg.json", tmp_path / "rows.parquet", tmp_path / "f.jsonl")


def test_no_rows_to_a_pipe(folder: Path, tmp_path: Path, expected: Any) -> None:
    (tmp_path / "rows.csv").write_text("tags,price,place,clicks,prices\n")
    with _pipe(tmp_path / "pipe") as found:
        arguments = (folder / "fg.json", tmp_path / "rows.csv", tmp_path / "pipe")
        assert extract_file(*arguments, output_form="arrow") == 0
    # Parquet calls the values of a list by another name.
    types = _types(pyarrow.ipc.open_stream(found[0]).read_all())
    assert {n: t.replace("item:", "element:") for n, t in types.items()} == _types(expected)


@pytest.mark.slow
def test_standard_input_and_output(folder: Path, expected: Any) -> None:
    command = [
        sys.executable,
        "-m",
        "rtcompile",
        "extract",
        str(folder / "fg.json"),
        "-",
        "-o",
        "-",
    ]
    lines = (folder / "rows.jsonl").read_bytes()
    ended = subprocess.run(command, input=lines, capture_output=True, check=True)
    assert [json.loads(line) for line in ended.stdout.splitlines()] == expected.to_pylist()
    assert b"250 rows" in ended.stderr
    # A reader that has enough.
    shown = subprocess.run(
        f"{' '.join(command)} --output-format parquet | head -c 10",
        check=False,
        shell=True,
        input=lines * 500,
        capture_output=True,
    )
    assert shown.stdout[:4] == b"PAR1"
    assert b"Traceback" not in shown.stderr
