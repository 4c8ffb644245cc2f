"""`rtcompile rank` as a process among others: streams, pipes that break, signals, flat memory."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from rtcompile import runtime
from tests.ranking_model import items
from tests.runtime.served_models import CASES, build_case, user_of

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact, items in two forms, a request."""
    path = tmp_path_factory.mktemp("streams")
    ranker = runtime.load(build_case(path, CASES["plain"]))
    (path / "user.json").write_text(json.dumps(user_of(ranker)))
    table = items(5)
    rows = [{name: values[row] for name, values in table.items()} for row in range(5)]
    for row in rows:
        row["item_id"] = int(row["id"][1:])
    (path / "items.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def _request(folder: Path, **changes: Any) -> bytes:
    user = json.loads((folder / "user.json").read_text())
    return json.dumps({"user": user, "items": [1, "2"], **changes}).encode() + b"\n"


def _start(folder: Path, *arguments: object, **pipes: Any) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "rtcompile", "rank", folder / "m.rtc", *arguments]
    given = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE) | pipes
    return subprocess.Popen([str(part) for part in command], **given)


def _ranked(folder: Path, requests: bytes, *arguments: object) -> tuple[int, bytes, str]:
    options = ("--items", folder / "items.jsonl", "--requests", "-", *arguments)
    process = _start(folder, *options)
    out, said = process.communicate(requests)
    return process.returncode, out, said.decode()


def test_each_request_is_answered_before_the_next_is_sent(folder: Path) -> None:
    process = _start(folder, "--items", folder / "items.jsonl", "--requests", "-")
    assert process.stdin and process.stdout
    for _ in range(3):
        process.stdin.write(_request(folder))
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["items"] == [1, "2"]
    assert process.communicate() == (b"", b"")
    assert process.returncode == 0


def test_items_from_standard_input(folder: Path) -> None:
    requests = folder / "one.jsonl"
    requests.write_bytes(_request(folder))
    process = _start(folder, "--items", "-", "--requests", requests, "-o", "/dev/stdout")
    out, said = process.communicate((folder / "items.jsonl").read_bytes())
    assert process.returncode == 0, said
    assert len(json.loads(out)["scores"]["ctr"]) == 2
    code, _, said_of_both = _ranked(folder, b"", "--items", "-")
    assert code == 30 and "cannot both come from standard input" in said_of_both


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        (b"{\n", 30, "line 2: not JSON"),
        (b"\xff\n", 30, "line 2: not UTF-8"),
        (b'{"user": {}, "items": []}\n', 83, "line 2: user: missing"),
        (b"[" * 10**6 + b"\n", 30, "line 2: not JSON"),
    ],
)
def test_a_refused_request_ends_the_run_or_is_skipped(
    folder: Path, tmp_path: Path, line: bytes, code: int, message: str
) -> None:
    requests = _request(folder) + line + b"\n" + _request(folder, items=["77"]) + _request(folder)
    output = tmp_path / "scores.jsonl"
    ended, out, said = _ranked(folder, requests, "-o", output)
    assert (ended, out) == (code, b"") and message in said and not list(tmp_path.iterdir())
    ended, out, said = _ranked(folder, requests, "--on-error", "skip")
    lines = [json.loads(one) for one in out.splitlines()]
    assert ended == 0
    assert message in lines[1]["error"] and lines[1]["line"] == 2
    assert "items '77' are not in" in lines[2]["error"] and lines[2]["line"] == 4
    assert lines[0] == lines[3] and "scores" in lines[0]
    assert "2 of 4 requests were refused" in said and message in said


def test_a_pipe_that_breaks_ends_the_run_quietly(folder: Path) -> None:
    process = _start(folder, "--items", folder / "items.jsonl", "--requests", "-")
    assert process.stdin and process.stdout and process.stderr
    process.stdin.write(_request(folder))
    process.stdin.flush()
    process.stdout.readline()
    process.stdout.close()
    with pytest.raises(BrokenPipeError):
        while True:
            process.stdin.write(_request(folder))
            process.stdin.flush()
    assert process.wait() == 141
    assert process.stderr.read() == b""
    process.stderr.close()
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()


def test_a_full_device_is_one_message(folder: Path) -> None:
    for output in ("/dev/full", "-"):
        with Path("/dev/full").open("wb") as full:
            process = _start(
                folder,
                *("--items", folder / "items.jsonl", "--requests", "-", "-o", output),
                stdout=full,
            )
            _, said = process.communicate(_request(folder))
        assert process.returncode == 40
        assert said.count(b"\n") == 1 and b"cannot be written: No space left" in said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_leaves_no_half_written_file(folder: Path, tmp_path: Path, number: int) -> None:
    output = tmp_path / "scores.jsonl"
    options = ("--items", folder / "items.jsonl", "--requests", "-", "-o", output)
    process = _start(folder, *options)
    assert process.stdin
    process.stdin.write(_request(folder) * 100)
    process.stdin.flush()
    while not list(tmp_path.iterdir()):
        time.sleep(0.01)
    process.send_signal(number)
    _, said = process.communicate()
    assert process.returncode == 128 + number
    assert b"Traceback" not in said
    assert not list(tmp_path.iterdir())


_COUNTED = """
import resource, sys
from rtcompile.cli import main
try:
    main(sys.argv[1:], standalone_mode=False)
finally:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
"""


@pytest.mark.parametrize("to", ["stream", "file"])
def test_memory_does_not_grow_with_the_requests(folder: Path, tmp_path: Path, to: str) -> None:
    taken = []
    output = "/dev/null" if to == "stream" else str(tmp_path / "scores.jsonl")
    for count in (100, 20_000):
        requests = tmp_path / f"{count}.jsonl"
        requests.write_bytes(_request(folder) * count)
        command = [sys.executable, "-c", _COUNTED, "rank", folder / "m.rtc"]
        command += ["--items", folder / "items.jsonl", "--requests", requests, "-o", output]
        done = subprocess.run([str(part) for part in command], stderr=subprocess.PIPE, check=True)
        taken.append(int(done.stderr.split()[-1]))
    assert taken[1] - taken[0] < 4 << 10  # KB


def test_a_shared_descriptor_is_appended_to(folder: Path, tmp_path: Path) -> None:
    """As `(echo head; rtcompile rank ... -o /dev/stdout) > file` has it."""
    path = tmp_path / "both"
    with path.open("wb") as file:
        file.write(b"head\n")
        file.flush()
        options = ("--items", folder / "items.jsonl", "--requests", "-", "-o", "/dev/stdout")
        process = _start(folder, *options, stdout=file)
        process.communicate(_request(folder))
    lines = path.read_bytes().splitlines()
    assert lines[0] == b"head" and "scores" in json.loads(lines[1]) and len(lines) == 2
