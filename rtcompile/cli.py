"""The command line: parses, shows, and maps errors to exit codes. The work is done elsewhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click

from rtcompile.command.cli_group import CommandGroup, told
from rtcompile.command.counts_summary import Counters
from rtcompile.files.output_file import is_stream
from rtcompile.options import CALIBRATION_METHODS, PRECISIONS, BuildOptions
from rtcompile.tuning.commands import logs_commands, tune_command
from rtcompile.verification.command import verify_command

__all__ = ["main"]

_PATH = click.Path(path_type=Path)
_QUANTIZE = click.option(
    "--quantize",
    type=click.Choice(PRECISIONS),
    default="none",
    show_default=True,
    help="Lowest precision of dense layers.",
)

_EMBEDDING_DTYPE = click.option(
    "--embedding-dtype",
    default="fp32",
    show_default=True,
    type=click.Choice(["fp32", "fp16", "bf16", "int8", "int4"]),
    help="What embedding tables are stored in.",
)

_STRICT = click.option(
    "--strict", is_flag=True, help="A value that is there but cannot be read is an error."
)


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(package_name="rtcompile")
def main(debug: bool) -> None:
    """Compile ranking models: raw bytes in, scores out."""


main.add_command(tune_command)
main.add_command(logs_commands)
main.add_command(verify_command)


@main.command("build")
@click.argument("model", type=_PATH)
@click.option("-o", "--output", required=True, type=_PATH, help="Where the artifact goes (.rtc).")
@click.option("--features", type=_PATH, help="Feature config (fg.json).")
@click.option("--embeddings", type=_PATH, help="Tables that are not in the graph (.safetensors).")
@_EMBEDDING_DTYPE
@click.option(
    "--table-dtype",
    "table_dtypes",
    multiple=True,
    metavar="NAME=DTYPE",
    help="The dtype of one table, instead of --embedding-dtype.",
)
@click.option(
    "--output-name",
    "outputs",
    multiple=True,
    metavar="NAME",
    help="Keep this output of the graph, and what it needs. [default: all]",
)
@_QUANTIZE
@click.option(
    "--calibration",
    type=_PATH,
    help="Real rows to verify and calibrate on (.parquet, .jsonl; .npz of a graph's inputs).",
)
@click.option(
    "--calibration-method",
    type=click.Choice(CALIBRATION_METHODS),
    default="minmax",
    show_default=True,
    help="How the range of what an int8 layer reads is chosen.",
)
@click.option("--label", help="Column of the calibration data, 0 or 1: what is lost is then AUC.")
@click.option("--max-auc-drop", default=5e-4, show_default=True, help="AUC that may be lost.")
@click.option(
    "--max-difference", default=2e-2, show_default=True, help="Most a score may move; no label."
)
@click.option("--max-mean-difference", default=4e-3, show_default=True, help="The same on average.")
@click.option("--allow-over-budget", is_flag=True, help="Write the artifact even so.")
@click.option(
    "--keep-slower",
    is_flag=True,
    help="Do not time the layers: keep lower precision also where it is no faster here.",
)
@click.option(
    "--target",
    "targets",
    multiple=True,
    default=("host",),
    show_default=True,
    help="CPU to compile for. Give several, and the artifact holds a module for each.",
)
@click.option("--tuning-logs", type=_PATH, help="Tuning records. [default: those of the package]")
@click.option("--verify/--no-verify", default=True, show_default=True)
@click.option("--explain", is_flag=True, help="Show what each pass did, or refused and why.")
@click.option("--tag", "tags", multiple=True, metavar="KEY=VALUE", help="Kept with the artifact.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; of an error too.")
def build_command(
    model: Path,
    output: Path,
    features: Path | None,
    embeddings: Path | None,
    embedding_dtype: str,
    table_dtypes: tuple[str, ...],
    outputs: tuple[str, ...],
    quantize: str,
    calibration: Path | None,
    calibration_method: str,
    label: str | None,
    max_auc_drop: float,
    max_difference: float,
    max_mean_difference: float,
    allow_over_budget: bool,
    keep_slower: bool,
    targets: tuple[str, ...],
    tuning_logs: Path | None,
    verify: bool,
    explain: bool,
    tags: tuple[str, ...],
    as_json: bool,
) -> None:
    """Compile MODEL, an ONNX graph, into an artifact."""
    from rtcompile.command.build_json import errors_as_json

    if is_stream(output):
        raise click.BadParameter(f"{output}: an artifact goes to a file", param_hint="--output")
    given = {
        "features": features,
        "target": targets,
        "embeddings": embeddings,
        "embedding_dtype": embedding_dtype,
        "table_dtypes": tuple(map(_table_dtype, table_dtypes)),
        "outputs": outputs,
        "tags": tuple(map(_tag, tags)),
        "quantize": quantize,
        "calibration": calibration,
        "calibration_method": calibration_method,
        "label": label,
        "max_auc_drop": max_auc_drop,
        "max_difference": max_difference,
        "max_mean_difference": max_mean_difference,
        "allow_over_budget": allow_over_budget,
        "keep_slower": keep_slower,
        "tuning_logs": tuning_logs,
        "verify": verify,
    }
    with errors_as_json(told, click.echo) if as_json else nullcontext():
        _build(model, output, given, explain, as_json)


def _build(
    model: Path, output: Path, options: dict[str, Any], explain: bool, as_json: bool
) -> None:
    from rtcompile.driver import build

    if as_json:
        from rtcompile.command.build_json import describe_build

        result = build(model, BuildOptions(**options), output=output)
        click.echo(json.dumps(describe_build(result, output), sort_keys=True))
        return
    from rtcompile.command.console import console, show_build

    with console.status("starting") as status:
        result = build(model, BuildOptions(**options), output=output, progress=status.update)
    show_build(result, output, explain)


def _tag(given: str) -> tuple[str, str]:
    key, equals, value = given.partition("=")
    if not (key and equals):
        raise click.BadParameter(f"{given!r}: KEY=VALUE is needed", param_hint="--tag")
    return key, value


def _table_dtype(given: str) -> tuple[str, str]:
    name, equals, dtype = given.rpartition("=")
    if not (name and equals):
        raise click.BadParameter(f"{given!r}: NAME=DTYPE is needed", param_hint="--table-dtype")
    return name, dtype


@main.command("rank")
@click.argument("artifact", type=_PATH)
@click.option(
    "--items",
    required=True,
    type=_PATH,
    help="Item table (.jsonl, .csv, .parquet), or - for stdin.",
)
@click.option("--requests", required=True, type=_PATH, help="One JSON request a line; - for stdin.")
@click.option(
    "-o",
    "--output",
    type=_PATH,
    default="-",
    help="Scores, one JSON object a line; a pipe or device is written to. [default: stdout]",
)
@click.option(
    "--on-error",
    type=click.Choice(["fail", "skip"]),
    default="fail",
    show_default=True,
    help="A refused request ends the run, or has a line that says why.",
)
@_STRICT
def rank_command(
    artifact: Path, items: Path, requests: Path, output: Path, on_error: str, strict: bool
) -> None:
    """Score requests: {"user": {...}, "items": [ids], "context": {field: [a value an item]}}.

    Each is answered before the next is read. An output that is a file appears once it is whole.
    """
    from rtcompile.command.rank_file import rank_file

    def report(message: str) -> None:
        click.echo(f"refused: {message}", err=True)

    done = rank_file(
        artifact, items, requests, output, on_error=on_error, strict=strict, report=report
    )
    _show_counts(done.counters)
    if done.refused:
        click.echo(f"{done.refused} of {done.requests} requests were refused", err=True)


@main.command("extract")
@click.argument("config", type=_PATH)
@click.argument("input", type=_PATH)
@click.option(
    "-o", "--output", required=True, type=_PATH, help="Features (.parquet, .jsonl, .arrows)."
)
@click.option(
    "--input-format",
    type=click.Choice(("parquet", "csv", "jsonl")),
    help="[default: by suffix; of a stream jsonl]",
)
@click.option(
    "--output-format",
    type=click.Choice(("parquet", "jsonl", "arrow")),
    help="arrow: a stream of Arrow's IPC format. [default: by suffix; of a stream jsonl]",
)
@click.option("--workers", type=click.IntRange(1), help="Processes. [default: one a core]")
@_STRICT
def extract_command(
    config: Path,
    input: Path,
    output: Path,
    input_format: str | None,
    output_format: str | None,
    workers: int | None,
    strict: bool,
) -> None:
    """Extract the features of CONFIG, an fg.json or an artifact, from the rows of INPUT.

    INPUT is .parquet, .csv or .jsonl of any size. `-` is stdin and stdout; to a pipe or a device
    features go chunk by chunk. To a file, an interrupted run goes on where it was.
    """
    from rtcompile.command.console import console, progress_bar
    from rtcompile.offline.extract_file import extract_file

    counters: dict[str, Mapping[str, int]] = {}
    with progress_bar("extracting") as advance:
        rows = extract_file(
            config,
            input,
            output,
            input_form=input_format,
            output_form=output_format,
            workers=workers,
            strict=strict,
            progress=advance,
            report=counters.update,
        )
    console.print(f"wrote {output} ({rows} rows)")
    _show_counts(counters)


def _show_counts(counters: Counters) -> None:
    """Say on stderr what became of values."""
    from rtcompile.command.counts_summary import summary

    for line in summary(counters):
        click.echo(line, err=True)


@main.command("inspect")
@click.argument("artifact", type=_PATH)
@click.option("--json", "as_json", is_flag=True, help="Print the manifest as JSON.")
def inspect_command(artifact: Path, as_json: bool) -> None:
    """Show what an artifact holds."""
    from rtcompile.runtime.artifact import read_artifact

    found = read_artifact(artifact)
    found.check_entries()
    targets = [target["name"] for target in found.targets]
    if as_json:
        described = {**found.manifest, "targets": targets}
        click.echo(json.dumps(described, indent=1, sort_keys=True))
        return
    from rtcompile.command.console import show_manifest

    show_manifest(found.manifest, targets)


@main.command("bench")
@click.argument("what", required=False)
@click.option("--against", multiple=True, help="Peers, with commas between. [default: all]")
@click.option("--rows", help="Item counts. [default: the workload's own, else 1,100,512]")
@click.option("--threads", type=click.IntRange(1), default=1, help="Requests/s of so many threads.")
@click.option("--profile", is_flag=True, help="Show the time by stage and by kernel.")
@click.option(
    "--without", multiple=True, help="Gain of staging, trimming, fusion, item-cache, or all."
)
@click.option("--models", help="Of zoo: names, with commas between. [default: all]")
@_QUANTIZE
@click.option("--calibration", type=_PATH, help="Inputs of a graph in lower precision, .npz.")
@click.option("--tuning-logs", type=_PATH, help="Gain of the kernels that these logs choose.")
@click.option("--target", default="host", help="CPU of the builds, with --tuning-logs.")
@click.option("--json", "as_json", type=_PATH, help="Also write the figures here.")
def bench_command(
    what: str | None,
    against: tuple[str, ...],
    rows: str | None,
    threads: int,
    profile: bool,
    without: tuple[str, ...],
    models: str | None,
    quantize: str,
    calibration: Path | None,
    tuning_logs: Path | None,
    target: str,
    as_json: Path | None,
) -> None:
    """Measure WHAT beside peers: a workload, an ONNX graph, the models of a library (`zoo`), an
    artifact, `features` or `embeddings`; by default the demo's models.

    --threads, --profile, --without and --tuning-logs measure WHAT (several, with commas between)
    beside itself; --quantize in lower precision, beside its float32 build.
    """
    from rtcompile.bench.bench_options import BenchOptions
    from rtcompile.bench.command import run_bench

    peers, parts = _listed(against), _listed(without)
    options = BenchOptions(
        against=peers,
        rows=rows,
        threads=threads,
        models=models,
        profile=profile,
        without=parts,
        quantize=quantize,
        calibration=calibration,
        tuning_logs=tuning_logs,
        target=target,
        json=as_json,
    )
    run_bench(what, options)


def _listed(given: tuple[str, ...]) -> tuple[str, ...]:
    """The names in an option that may be given several times, with commas between."""
    return tuple(name for one in given for name in one.split(","))


@main.command("tracker")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=9190, show_default=True, help="Port to listen on.")
def tracker_command(host: str, port: int) -> None:
    """Hand out workers to `rtcompile tune --tracker`, until it is ended.

    Whoever reaches a tracker or a worker can run programs on the workers' machines: there are no
    passwords. Listen on loopback, or in a network where everyone may do that.
    """
    from rtcompile.tuning.tracker import track

    track(host, port, click.echo)


@main.command("worker")
@click.option("--tracker", required=True, metavar="HOST:PORT", help="Of `rtcompile tracker`.")
@click.option("--key", required=True, help="What to ask the tracker for, as in `tune --key`.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=0, help="Port to listen on. [default: a free one]")
def worker_command(tracker: str, key: str, host: str, port: int) -> None:
    """Build nothing, run what `rtcompile tune --tracker` sends, until it is ended.

    Whoever reaches a worker can run programs on its machine: there are no passwords.
    """
    from rtcompile.tuning.worker import serve

    serve(host, port, tracker, key, click.echo)


@main.command("demo")
@click.option("--keep", type=_PATH, help="Folder for the artifacts; else they are thrown away.")
@_EMBEDDING_DTYPE
@_QUANTIZE
def demo_command(keep: Path | None, embedding_dtype: str, quantize: str) -> None:
    """Build two MovieLens models, rank real requests, compare with the usual stack."""
    from rtcompile.bench.demo import run_demo

    run_demo(keep, embedding_dtype, quantize)
