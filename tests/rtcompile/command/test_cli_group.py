"""How commands end: messages, exit codes, signals."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

import rtcompile.errors
import rtcompile.runtime.errors
from rtcompile.cli import main
from rtcompile.command.cli_group import CommandGroup, exit_codes
from rtcompile.errors import DataError
from rtcompile.extras import missing_extra


def _run(raised: BaseException, *arguments: str) -> Result:
    @click.group(cls=CommandGroup)
    @click.option("--debug", is_flag=True)
    def group(debug: bool) -> None:
        """A group."""

    @group.command()
    def act() -> None:
        raise raised

    return CliRunner().invoke(group, [*arguments, "act"])


def test_every_class_has_an_exit_code_of_its_own() -> None:
    codes, listed = exit_codes(), 0
    for module in (rtcompile.errors, rtcompile.runtime.errors):
        for name in module.__all__:
            assert codes[getattr(module, name).exit_code].startswith(f"{name}: ")
            listed += 1
    assert len(codes) == listed + 7
    shown = CliRunner().invoke(main, ["--help"]).stdout
    assert "Exit codes:" in shown
    assert all(f"  {code} " in shown for code in codes)


@pytest.mark.parametrize(
    ("raised", "code", "message"),
    [
        (DataError("line 1: no"), 30, "error: line 1: no\n"),
        (rtcompile.runtime.errors.UnknownItemError("no item"), 85, "error: no item\n"),
        (FileNotFoundError(2, "No such file", "a.rtc"), 30, "error: a.rtc: No such file\n"),
        (OSError(28, "No space left"), 40, "error: No space left\n"),
        (KeyError("x"), 100, "error: a fault of rtcompile's own: KeyError: 'x'; --debug"),
        (RecursionError("deep"), 100, "RecursionError: deep"),
        (MemoryError(), 101, "error: not enough memory"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
        (BrokenPipeError(), 141, ""),
        (ModuleNotFoundError("none", name="onnx.helper"), 1, "pip install 'rtcompile[compiler]'"),
        (ModuleNotFoundError("none", name="xgboost"), 1, "pip install 'rtcompile[tune]'"),
    ],
)
def test_an_error_is_one_message(raised: BaseException, code: int, message: str) -> None:
    result = _run(raised)
    assert result.exit_code == code
    assert message in result.stderr
    assert "Traceback" not in result.stderr and len(result.stderr.splitlines()) <= 1
    assert result.stdout == ""


def test_debug_shows_where() -> None:
    error = DataError("line 1: no")
    assert _run(error, "--debug").exception is error


def test_a_module_that_is_of_no_extra_is_named_as_it_is() -> None:
    assert missing_extra(ModuleNotFoundError("no", name="rtcompile.nothing")) is None


_WITHOUT = """
import sys
for name in {names!r}:
    sys.modules[name] = None
sys.argv = ["rtcompile", *{arguments!r}]
from rtcompile.__main__ import run
run()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("names", "arguments", "extra"),
    [(["click"], ["--help"], "compiler"), (["tvm"], ["build", "m.onnx", "-o", "x"], "compiler")],
)
def test_what_is_not_installed(names: list[str], arguments: list[str], extra: str) -> None:
    program = _WITHOUT.format(names=names, arguments=arguments)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr == (
        f"error: {names[0]} is not installed: pip install 'rtcompile[{extra}]' brings it\n"
    )


_TERMINATED = """
import os, signal, sys, tempfile
import click
from rtcompile.command.cli_group import CommandGroup

@click.group(cls=CommandGroup)
def group(): pass

@group.command()
@click.argument("folder")
def act(folder):
    with tempfile.TemporaryDirectory(dir=folder):
        os.kill(os.getpid(), int(sys.argv[2]))
        signal.pause()

group(["act", sys.argv[1]])
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_leaves_nothing_behind(tmp_path: Path, number: int) -> None:
    command = [sys.executable, "-c", _TERMINATED, str(tmp_path), str(int(number))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 128 + number
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())
