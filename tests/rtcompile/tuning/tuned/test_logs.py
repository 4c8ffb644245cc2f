"""Logs: what is written is read again, two may write, and what is no record does no harm."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from rtcompile.cli import main
from rtcompile.errors import TuningError
from rtcompile.tuning.manage import merge, prune
from rtcompile.tuning.tuned.logs import append, read_logs, rewrite
from rtcompile.tuning.tuned.records import Record
from tests.rtcompile.tuning.records import TARGET, configs, dense, record

_NAME = TARGET.name


def _file(directory: Path) -> Path:
    return directory / _NAME / "dense.jsonl"


def _write(directory: Path, *records: Record) -> None:
    for one in records:
        append(directory, _NAME, one)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    task = dense()
    written = [record(task, config, seconds) for config in configs(task) for seconds in (2.0, None)]
    _write(tmp_path, *written)
    logs = read_logs(tmp_path, _NAME)
    assert logs.records == written
    assert not logs.notes()
    assert not read_logs(tmp_path, "x86-64-v2").records
    assert not read_logs(tmp_path / "none", _NAME).records


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "not JSON"),
        ("[]", "not a record"),
        ("\\xff", "not JSON"),
        ({"kernel": 3}, "'kernel' is missing or of a wrong type"),
        ({"kernel": "conv"}, "kernel 'conv' is not known"),
        ({"version": True}, "'version'"),
        ({"config": {"width": "64"}}, "'config': 'width' is of a wrong type"),
        ({"config": None}, "'config' is missing"),
        ({"parameters": {"depth": 3}}, "its parameters are not those of 'dense'"),
        ({"seconds": -1.0}, "'seconds' is no time"),
        ({"seconds": None}, "either seconds or an error"),
        ({"default_seconds": float("inf")}, "'default_seconds' is no time"),
    ],
)
def test_what_is_no_record_is_named(tmp_path: Path, line: object, why: str) -> None:
    task = dense()
    good = record(task, configs(task)[0])
    _write(tmp_path, good)
    fields = json.loads(good.to_line())
    text = line if isinstance(line, str) else json.dumps({**fields, **line})  # type: ignore[dict-item]
    with _file(tmp_path).open("ab") as file:
        file.write(text.replace("\\xff", "\udcff").encode("utf-8", "surrogateescape") + b"\n")
    _write(tmp_path, good)
    logs = read_logs(tmp_path, _NAME)
    assert logs.records == [good, good]
    (note,) = logs.notes()
    assert note.startswith(f"{_file(tmp_path)}, line 2: ")
    assert why in note or "utf-8" in note


def test_a_torn_line_does_not_run_into_the_next(tmp_path: Path) -> None:
    task = dense()
    good = record(task, configs(task)[0])
    _write(tmp_path, good)
    with _file(tmp_path).open("ab") as file:
        file.write(good.to_line().encode()[:40])
    _write(tmp_path, good)
    logs = read_logs(tmp_path, _NAME)
    assert logs.records == [good, good]
    assert len(logs.skipped) == 1


def test_a_folder_where_a_log_should_be_is_named(tmp_path: Path) -> None:
    _file(tmp_path).mkdir(parents=True)
    assert "cannot be read" in read_logs(tmp_path, _NAME).notes()[0]
    with pytest.raises(TuningError, match="cannot be written"):
        _write(tmp_path, record(dense(), configs(dense())[0]))
    with pytest.raises(TuningError, match="no such folder"):
        merge(tmp_path, [tmp_path / "none"])


def test_stale_records_are_ignored_and_named(tmp_path: Path) -> None:
    task = dense()
    old = record(task, configs(task)[0], tvm="0.1")
    fields = json.loads(record(task, configs(task)[0]).to_line())
    _write(tmp_path, old, old)
    with _file(tmp_path).open("a") as file:
        file.write(json.dumps({**fields, "version": 0, "parameters": {"other": 1}}) + "\n")
    logs = read_logs(tmp_path, _NAME)
    assert not logs.records
    tvm, version = logs.notes()
    assert tvm.startswith("2 stale records: TVM is at")
    assert version.startswith("1 stale records: dense is at version")


_WRITER = """
import sys
from pathlib import Path
from rtcompile.tuning.tuned.logs import append
from tests.rtcompile.tuning.records import TARGET, configs, dense, record
task = dense(int(sys.argv[2]))
for _ in range(100):
    append(Path(sys.argv[1]), TARGET.name, record(task, configs(task)[0]))
"""


@pytest.mark.slow
def test_two_jobs_may_write_while_a_third_rewrites(tmp_path: Path) -> None:
    _write(tmp_path, record(dense(1), configs(dense(1))[0]))
    writers = [
        subprocess.Popen([sys.executable, "-c", _WRITER, str(tmp_path), columns])
        for columns in ("2", "3")
    ]
    while any(writer.poll() is None for writer in writers):
        rewrite(_file(tmp_path), lambda lines: lines)
    assert [writer.wait() for writer in writers] == [0, 0]
    logs = read_logs(tmp_path, _NAME)
    assert not logs.notes()
    tasks = [r.trial.task for r in logs.records]
    assert [tasks.count(dense(columns)) for columns in (1, 2, 3)] == [1, 100, 100]


def test_merge_adds_what_is_lacking(tmp_path: Path) -> None:
    task = dense()
    first, second, old = (record(task, config) for config in configs(task)[:3])
    old = record(task, configs(task)[2], tvm="0.1")
    _write(tmp_path / "a", first)
    _write(tmp_path / "b", first, second, old)
    with _file(tmp_path / "b").open("a") as file:
        file.write("nonsense\n")
    added, notes = merge(tmp_path / "a", [tmp_path / "b", tmp_path / "b"])
    assert added == 2
    assert "line 4: not JSON" in notes[0]
    logs = read_logs(tmp_path / "a", _NAME)
    assert (logs.records, logs.stale) == ([first, second], [old])


def test_prune(tmp_path: Path) -> None:
    task = dense()
    default, best, other, failed = (
        record(task, config, seconds)
        for config, seconds in zip(configs(task), (1.0, 0.5, 0.7, None), strict=False)
    )
    _write(tmp_path, default, best, best, other, failed, record(task, configs(task)[0], tvm="0"))
    with _file(tmp_path).open("a") as file:
        file.write("nonsense\n")
    done = prune(tmp_path)
    assert (done.kept, done.removed) == (4, 3)
    assert read_logs(tmp_path, _NAME).records == [default, best, other, failed]
    prune(tmp_path, best_only=True)
    assert read_logs(tmp_path, _NAME).records == [default, best]


def test_commands(tmp_path: Path) -> None:
    task = dense()
    default, fast, *_ = configs(task)
    _write(tmp_path / "a", record(task, default), record(task, fast, 0.5))
    for arguments, shown in (
        (["merge", tmp_path / "b", tmp_path / "a"], "added 2 records"),
        (["prune", tmp_path / "b", "--best"], "kept 2 records"),
        (["show", tmp_path / "b"], "dense 30x100"),
        (["show", tmp_path / "b"], "2 on a CPU"),
    ):
        result = CliRunner().invoke(main, ["logs", *map(str, arguments)])
        assert result.exit_code == 0, result.output
        assert shown in " ".join(result.output.split())
