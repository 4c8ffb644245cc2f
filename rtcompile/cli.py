"""The command line: parses, shows, and maps errors to exit codes. The work is done elsewhere."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

import runtime
from rtcompile.errors import RtcompileError
from rtcompile.options import BuildOptions

__all__ = ["main"]


class _Group(click.Group):
    """Prints errors of ours as one message, without a traceback unless --debug asks for it."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except (RtcompileError, runtime.InferenceError) as error:
            if ctx.params.get("debug"):
                raise
            click.echo(f"error: {error}", err=True)
            sys.exit(error.exit_code)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(package_name="rtcompile")
def main(debug: bool) -> None:
    """Compile ranking models: raw bytes in, scores out."""


@main.command("build")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path))
@click.option("--features", type=click.Path(path_type=Path), help="Feature config (fg.json).")
@click.option("--target", default="host", show_default=True, help="CPU to compile for.")
@click.option("--verify/--no-verify", default=True, show_default=True)
@click.option("--explain", is_flag=True, help="Show what each pass did, or refused and why.")
def build_command(
    model: Path, output: Path, features: Path | None, target: str, verify: bool, explain: bool
) -> None:
    """Compile MODEL, an ONNX graph, into an artifact."""
    from rtcompile.conductor import build

    console = Console(stderr=True)
    options = BuildOptions(features=features, target=target, verify=verify)
    with console.status("starting") as status:
        result = build(model, options, output=output, progress=status.update)
    if explain:
        table = Table("pass", "applied", "refused")
        for record in result.report.passes:
            table.add_row(record.name, str(record.applied), "\n".join(record.refused))
        console.print(table)
    size = output.stat().st_size / 1e6
    if result.verification:
        checked = result.verification
        console.print(
            f"verified on {checked.rows} rows, largest difference {checked.largest_difference:.1e}"
        )
    console.print(f"wrote {output} ({size:.1f} MB, {result.manifest['target']['name']})")


@main.command("inspect")
@click.argument("artifact", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the manifest as JSON.")
def inspect_command(artifact: Path, as_json: bool) -> None:
    """Show what an artifact holds."""
    from runtime.artifact import read_artifact

    manifest = read_artifact(artifact).manifest
    if as_json:
        click.echo(json.dumps(manifest, indent=1, sort_keys=True))
        return
    console = Console()
    table = Table("stage", "port", "name", "dtype", "shape")
    for name, stage in manifest["stages"].items():
        for kind in ("inputs", "outputs"):
            for port in stage[kind]:
                head = [] if port["per_request"] else ["rows"]
                shape = ", ".join([*head, *map(str, port["shape"])])
                table.add_row(name, kind[:-1], port["name"], port["dtype"], f"({shape})")
    console.print(table)
    for name, stage in manifest["stages"].items():
        console.print(
            f"{name}: {stage['calls']} calls of {stage['kernels']} kernels, "
            f"{stage['workspace_bytes'] / 1024:.0f} KB of workspace"
        )
    rows = sum(table["rows"] for table in manifest["tables"])
    console.print(f"{len(manifest['tables'])} embedding tables, {rows} rows")
    console.print(f"target {manifest['target']['name']}, built with {manifest['provenance']}")
