"""The commands that tune kernels and look after the logs."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from rtcompile.options import PRECISIONS

__all__ = ["logs_commands", "tune_command"]

_PATH = click.Path(path_type=Path)
_INTERRUPTED = 130


@click.command("tune")
@click.argument("model")
@click.option("--models", help="Of zoo:LIBRARY: the name of one of its models.")
@click.option("--features", type=_PATH, help="Feature config (fg.json).")
@click.option("--embeddings", type=_PATH, help="Tables that are not in the graph (.safetensors).")
@click.option("--target", default="host", show_default=True, help="CPU to tune for.")
@click.option(
    "--quantize",
    type=click.Choice(PRECISIONS),
    default="none",
    show_default=True,
    help="Tune kernels of lower precision too, down to this.",
)
@click.option(
    "--embedding-dtype",
    type=click.Choice(["fp32", "fp16", "bf16", "int8", "int4"]),
    default="fp32",
    show_default=True,
    help="What embedding tables are stored in.",
)
@click.option(
    "--trials",
    type=click.IntRange(1),
    default=500,
    show_default=True,
    help="Measurements in all, those that the logs hold included.",
)
@click.option("--tuning-logs", required=True, type=_PATH, help="Folder of the records.")
@click.option("--tracker", metavar="HOST:PORT", help="Measure on the workers of this tracker.")
@click.option("--key", help="The workers' key.")
@click.option("--report", type=_PATH, help="The report. [default: MODEL.TARGET.html in the logs]")
@click.option(
    "--whole-model/--no-whole-model",
    default=True,
    show_default=True,
    help="At the end, build the model with default configs and with the best, and compare.",
)
def tune_command(
    model: str,
    models: str | None,
    features: Path | None,
    embeddings: Path | None,
    target: str,
    quantize: str,
    embedding_dtype: str,
    trials: int,
    tuning_logs: Path,
    tracker: str | None,
    key: str | None,
    report: Path | None,
    whole_model: bool,
) -> None:
    """Find the fastest forms of the kernels of MODEL on this machine, or on workers.

    MODEL is an ONNX file, or a workload of `rtcompile bench` by its name. What the logs hold is not
    measured again. May be interrupted: the next run goes on.
    """
    from rtcompile.command.console import console
    from rtcompile.tuning.named import named_model
    from rtcompile.tuning.run import run
    from rtcompile.tuning.tune import TuneOptions

    options = TuneOptions(
        tuning_logs,
        features,
        embeddings,
        target=target,
        quantize=quantize,
        embedding_dtype=embedding_dtype,
        trials=trials,
        tracker=tracker,
        key=key,
    )
    try:
        with named_model(model, models, options) as (path, filled):
            run(path, filled, report, whole_model)
    except KeyboardInterrupt:
        console.print("interrupted; the same command goes on from here")
        sys.exit(_INTERRUPTED)


@click.group("logs")
def logs_commands() -> None:
    """Show, merge and prune tuning logs."""


@logs_commands.command("show")
@click.argument("directory", type=_PATH, required=False)
@click.option("--target", help="Of this target only.")
def show_command(directory: Path | None, target: str | None) -> None:
    """Show the best config of each kernel in DIRECTORY; by default the packaged logs."""
    from rtcompile.tuning.show import show_logs
    from rtcompile.tuning.tuned.logs import packaged_logs

    show_logs(directory or packaged_logs(), target)


@logs_commands.command("merge")
@click.argument("directory", type=_PATH)
@click.argument("others", type=_PATH, nargs=-1, required=True)
def merge_command(directory: Path, others: tuple[Path, ...]) -> None:
    """Add to DIRECTORY the records of OTHERS that it lacks."""
    from rtcompile.command.console import console
    from rtcompile.tuning.manage import merge

    added, notes = merge(directory, others)
    for note in notes:
        console.print(note, markup=False, highlight=False, soft_wrap=True)
    console.print(f"added {added} records to {directory}")


@logs_commands.command("prune")
@click.argument("directory", type=_PATH)
@click.option("--best", is_flag=True, help="Keep each kernel's default and best config only.")
def prune_command(directory: Path, best: bool) -> None:
    """Remove from DIRECTORY stale records, lines that are none, and what stands twice."""
    from rtcompile.command.console import console
    from rtcompile.tuning.manage import prune

    done = prune(directory, best)
    console.print(f"kept {done.kept} records, removed {done.removed} lines")
