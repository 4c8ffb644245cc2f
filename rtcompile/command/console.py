"""What commands print: messages to stderr, results as tables to stdout."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

if TYPE_CHECKING:
    from rtcompile.driver import BuildResult

__all__ = [
    "console",
    "output",
    "progress_bar",
    "show_build",
    "show_manifest",
]


class _Console(Console):
    """A console whose closed pipe ends the command as any other output's does."""

    def on_broken_pipe(self) -> None:
        """Leave what is done then to the command line."""
        raise BrokenPipeError


console = Console(stderr=True)
output = _Console()


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on the terminal; calls with (done, total) move it."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as bar:
        task = bar.add_task(what, total=None)

        def advance(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield advance


def show_build(result: BuildResult, path: Path, explain: bool) -> None:
    """What a build did."""
    if explain:
        table = Table("stage", "pass", "applied", "refused")
        for record in result.report.passes:
            refused = "\n".join(record.refused)
            table.add_row(record.stage or "all", record.name, str(record.applied), refused)
        console.print(table)
        _show_left_out(console, result.manifest)
        if result.manifest["tables"]:
            console.print(_embedding_tables(result.manifest["tables"]))
    if "precision" in result.manifest:
        _show_precision(result.manifest["precision"], explain)
    if result.verification:
        checked = result.verification
        console.print(
            f"verified on {checked.rows} rows, largest difference {checked.largest_difference:.1e}"
        )
        if checked.from_original:
            moved = checked.from_original
            console.print(
                f"stored tables move scores by {moved.largest:.1e} at most, {moved.mean:.1e} on "
                "average, from the original's"
            )
        if checked.from_quantized:
            moved = checked.from_quantized
            console.print(
                f"scores are within {moved.largest:.1e}, {moved.mean:.1e} on average, of those of "
                f"the quantized model, which its own rounding moves by {checked.file_rounding:.1e}"
            )
    if result.unverified:
        names = ", ".join(result.unverified)
        console.print(
            f"not verified here, for this machine cannot run it: {names}; run `rtcompile verify "
            f"{path}` on the target",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
    for note in result.log_notes:
        console.print(f"tuning logs: {note}", markup=False, highlight=False, soft_wrap=True)
    console.print(_tuning(result.manifest["tuning"]))
    size, targets = path.stat().st_size / 1e6, ", ".join(result.targets)
    console.print(f"wrote {path} ({size:.1f} MB, {targets})")


def _show_precision(precision: dict[str, Any], explain: bool) -> None:
    """The levels of the layers, and what they cost of the scores."""
    if explain and precision["layers"]:
        table = Table("layer", "shape", "precision", "why not lower")
        for layer in precision["layers"]:
            shape = f"{layer['depth']} x {layer['columns']}"
            table.add_row(layer["layer"], shape, layer["level"], layer["reason"])
        console.print(table)
    counts = Counter(layer["level"] for layer in precision["layers"])
    levels = ", ".join(f"{count} in {level}" for level, count in sorted(counts.items())) or "none"
    if "rows" not in precision:  # nothing was compared
        console.print(f"layers: {levels}")
        return
    drop = precision["auc_drop"]
    auc = "" if drop is None else f"AUC lower by {drop:.6f}, "
    console.print(
        f"layers: {levels}; {auc}scores move by {precision['largest_difference']:.1e} at most, "
        f"{precision['mean_difference']:.1e} on average ({precision['rows']} rows)"
    )


def _tuning(tuning: dict[str, Any]) -> str:
    counts = [f"{tuning[source]} {source}" for source in ("tuned", "reused", "defaulted")]
    return f"kernels that can be tuned: {', '.join(counts)}"


def show_manifest(manifest: dict[str, Any], targets: Sequence[str]) -> None:
    """What an artifact for `targets` holds; the manifest is of the one that is loaded here."""
    if manifest["kind"] == "ranking":
        fields = Table("side", "raw fields")
        for side, names in manifest["fields"].items():
            fields.add_row(side, ", ".join(names) or "none")
        output.print(fields)
    table = Table("stage", "port", "name", "dtype", "shape")
    for name, stage in manifest["stages"].items():
        if not name.startswith("extract_"):
            _add_ports(table, name, stage)
    output.print(table)
    for name, stage in manifest["stages"].items():
        operators = f"{stage['operators']} operators, " if "operators" in stage else ""
        output.print(
            f"{name}: {operators}{stage['calls']} calls of {stage['kernels']} kernels, "
            f"{stage['workspace_bytes'] / 1024:.0f} KB of workspace, "
            f"tiles of {stage['tile_rows']} rows"
        )
    _show_left_out(output, manifest)
    if manifest["tables"]:
        output.print(_embedding_tables(manifest["tables"]))
    for layer in manifest.get("precision", {}).get("layers", ()):
        why = f" ({layer['reason']})" if layer["reason"] else ""
        output.print(
            f"layer {layer['layer']}, {layer['depth']} x {layer['columns']}: {layer['level']}{why}"
        )
    output.print(_tuning(manifest["tuning"]))
    output.print(_verified(manifest.get("verification")))
    if len(targets) > 1:
        output.print(f"has modules for {', '.join(targets)}; this is what is loaded here")
    for key, value in manifest.get("tags", {}).items():
        output.print(f"tag {key}={value}", markup=False, highlight=False, soft_wrap=True)
    made_of = Table("file", "name", "bytes", "SHA-256", box=box.SIMPLE_HEAD)
    for file in manifest["provenance"].get("files", ()):
        made_of.add_row(file["role"], file["name"], f"{file['bytes']:,}", file["sha256"][:16])
    output.print(made_of)
    versions = [f"{n} {manifest['provenance'].get(n)}" for n in ("rtcompile", "tvm", "onnx")]
    output.print(f"target {manifest['target']['name']}, built with {', '.join(versions)}")


def _verified(said: dict[str, Any] | None) -> str:
    if said is None:
        return "not verified: it was built with --no-verify"
    carried = f"carries {said['carried_bytes'] / 1024:.0f} KB for `rtcompile verify`"
    if not said["verified"]:
        return f"not verified where it was built; {carried}"
    return (
        f"verified on {said['rows']} rows, largest difference "
        f"{said['largest_difference']:.1e}; {carried}"
    )


def _show_left_out(to: Console, manifest: dict[str, Any]) -> None:
    """Outputs that no one asked for, and what went with them."""
    left = manifest["left_out"]
    if left["outputs"]:
        to.print(
            f"left out: outputs {', '.join(left['outputs'])}, and for them alone "
            f"{left['operators']} operators, inputs {', '.join(left['inputs']) or 'none'}"
        )


def _embedding_tables(tables: list[dict[str, Any]]) -> Table:
    """The tables, and what they would take in fp32."""
    shown = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    shown.add_column("embedding table", overflow="fold")
    for name in ("rows", "dimension", "dtype", "bytes", "of fp32", "note"):
        text = name in ("dtype", "note")
        shown.add_column(name, justify="left" if text else "right", no_wrap=True)
    total, single = 0, 0
    for table in tables:
        full = 4 * table["rows"] * table["dimension"]
        total, single = total + table["bytes"], single + full
        cells = (f"{table['rows']:,}", str(table["dimension"]), table["dtype"])
        share = f"{table['bytes'] / full:.2f}"
        shown.add_row(table["name"], *cells, f"{table['bytes']:,}", share, table["note"])
    shown.add_section()
    rows = f"{sum(table['rows'] for table in tables):,}"
    shown.add_row(f"{len(tables)} tables", rows, "", "", f"{total:,}", f"{total / single:.2f}", "")
    return shown


_ROWS_OF = {"user": "1", "item": "items", "context": "rows"}


def _add_ports(table: Table, name: str, stage: dict[str, Any]) -> None:
    sources = [source for source, _ in stage.get("sources", [])]
    for kind in ("inputs", "outputs"):
        for index, port in enumerate(stage[kind]):
            head = [] if port["per_request"] else ["rows"]
            if kind == "inputs" and index < len(sources):
                head = [_ROWS_OF[sources[index].removesuffix("_network")]]
            shape = ", ".join([*head, *map(str, port["shape"])])
            table.add_row(name, kind[:-1], port["name"], port["dtype"], f"({shape})")
