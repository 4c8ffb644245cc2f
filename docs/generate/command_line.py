"""Commands, their options, and the exit codes, out of click's own objects."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click
from markdown_table import table

from rtcompile.cli import main
from rtcompile.command.cli_group import exit_codes

__all__ = ["command_page"]


def command_page() -> Iterator[str]:
    """The lines of the page."""
    yield "# Commands and exit codes"
    yield ""
    yield (
        "How commands read and write streams, and how they end, is in "
        "[the command line](../cli.md). `--debug` before the command shows the traceback of an "
        "error."
    )
    yield from _commands(main, "rtcompile")
    yield "## Exit codes"
    yield from table(
        ("code", "meaning"), [(str(code), text) for code, text in exit_codes().items()]
    )


def _commands(group: click.Group, prefix: str) -> Iterator[str]:
    for name, command in sorted(group.commands.items()):
        path = f"{prefix} {name}"
        if isinstance(command, click.Group):
            yield from _commands(command, path)
            continue
        context = click.Context(command, info_name=path)
        yield f"## {path}"
        yield f"\n```text\n{' '.join([path, *command.collect_usage_pieces(context)])}\n```\n"
        yield inspect.cleandoc(command.help or "")
        rows = [record for p in command.params if (record := p.get_help_record(context))]
        if rows:
            yield from table(("option", "meaning"), [(f"`{o}`", text) for o, text in rows])
