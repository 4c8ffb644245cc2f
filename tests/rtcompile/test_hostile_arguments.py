"""Every command with paths that are no such file: one message, a code of ours, no traceback."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from rtcompile.cli import main
from rtcompile.command.cli_group import exit_codes
from rtcompile.errors import DataError
from rtcompile.files.input_lines import LONGEST_LINE, numbered_lines

_BAD_INPUTS = {
    "missing": None,
    "empty.jsonl": b"",
    "binary.jsonl": b"\xff\xfe\x00\x01" * 100,
    "text.jsonl": b"not json\n",
    "deep.jsonl": b"[" * 100_000,
    "list.json": b"[]",
    "null.json": b"null",
    "empty.parquet": b"",
    "text.parquet": b"PAR1 but no more",
    "empty.csv": b"",
    "nul.csv": b"a,b\n\0,\0\n",
    "text.onnx": b"hello",
    "text.safetensors": b"hello",
    "text.rtc": b"RTCOMPIL and no more",
    "x" * 300: None,
}

_COMMANDS = (
    ("build", "IN", "-o", "OUT"),
    ("build", "IN", "-o", "OUT", "--features", "IN"),
    ("build", "IN", "-o", "OUT", "--features", "IN", "--embeddings", "IN", "--json"),
    ("rank", "IN", "--items", "IN", "--requests", "IN", "-o", "OUT"),
    ("extract", "IN", "IN", "-o", "OUT.jsonl", "--workers", "1"),
    ("inspect", "IN"),
    ("inspect", "IN", "--json"),
    ("logs", "show", "IN"),
    ("logs", "prune", "IN"),
    ("logs", "merge", "OUT", "IN"),
)


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("bad")
    paths = [folder / name for name in _BAD_INPUTS]
    for path, data in zip(paths, _BAD_INPUTS.values(), strict=True):
        if data is not None:
            path.write_bytes(data)
    directory = folder / "folder.jsonl"
    directory.mkdir()
    return [*paths, directory, Path("/dev/null"), folder / "text.onnx" / "below"]


def _runs(arguments: tuple[str, ...], paths: list[Path], folder: Path) -> Iterator[list[str]]:
    for path in paths:
        places = {"IN": str(path), "OUT": str(folder / "out")}
        yield [places.get(one, one.replace("OUT.", f"{folder / 'out'}.")) for one in arguments]


@pytest.mark.parametrize("arguments", _COMMANDS, ids=" ".join)
def test_paths_that_are_no_such_file(
    arguments: tuple[str, ...], bad: list[Path], tmp_path: Path
) -> None:
    known = exit_codes()
    for given in _runs(arguments, bad, tmp_path):
        result = CliRunner().invoke(main, given)
        told = (given, result.exit_code, result.output)
        assert result.exit_code in known and result.exit_code != 100, told
        assert "Traceback" not in result.output, told
        if arguments[0] != "logs":  # a folder without logs has none to show
            assert result.exit_code != 0 and result.stderr.strip().startswith("error: "), told
        assert len(result.output) < 8000, told
        assert not [p for p in tmp_path.iterdir() if p.suffix != ".parts"], told


def test_a_line_without_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"line 1: longer than {LONGEST_LINE >> 20} MB"):
        list(numbered_lines(Path("/dev/zero")))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = tmp_path / "secret.rtc"
    path.write_bytes(b"x")
    path.chmod(0)
    result = CliRunner().invoke(main, ["inspect", str(path)])
    assert result.exit_code == 81 and "Permission denied" in result.stderr
