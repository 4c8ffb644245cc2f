"""`rtcompile verify`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from rtcompile.errors import VerificationError
from rtcompile.runtime.shorten import short_repr
from rtcompile.verification.replay_recorded import TargetCheck
from rtcompile.verification.replay_rows import RowsCheck

__all__ = ["verify_command"]

_PATH = click.Path(path_type=Path)
_MOST_REFUSED = 3


@click.command("verify")
@click.argument("artifact", type=_PATH)
@click.option("--rows", type=_PATH, help="Rows that training scored (.parquet, .csv, .jsonl).")
@click.option(
    "--scores",
    multiple=True,
    metavar="[OUTPUT=]COLUMN",
    help="Column of their scores. Of a model with several outputs, one for each.",
)
@click.option("--label", help="Column of 0 and 1: AUC of both scores is shown.")
@click.option("--target", "targets", multiple=True, help="Of the artifact's. [default: see above]")
@click.option(
    "--tolerance",
    type=float,
    default=1e-4,
    show_default=True,
    help="Most a score may be off its recorded one, relative where that is above 1.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def verify_command(
    artifact: Path,
    rows: Path | None,
    scores: tuple[str, ...],
    label: str | None,
    targets: tuple[str, ...],
    tolerance: float,
    as_json: bool,
) -> None:
    """Verify ARTIFACT on this machine.

    Without --rows: each of its targets that this machine can run answers the requests that the
    artifact carries, and the answers are compared with those of the original model.

    With --rows and --scores: the target that is loaded here scores rows that training scored.
    A column is a raw field of user, item or context, or an input of a graph without features.
    """
    from rtcompile.verification.api import verify

    columns = _by_output(scores)
    checks = verify(artifact, rows, columns, label=label, targets=targets, tolerance=tolerance)
    if as_json:
        click.echo(json.dumps([_to_json(check) for check in checks], indent=1, default=str))
    else:
        for check in checks:
            _show_rows(check) if isinstance(check, RowsCheck) else _show_target(check)
    wrong = [check for check in checks if isinstance(check, RowsCheck) and not check.agrees]
    if wrong:
        raise VerificationError(
            f"{artifact}: {wrong[0].beyond + len(wrong[0].refused)} of {wrong[0].rows} rows do not "
            f"agree with {rows}"
        )


def _by_output(scores: tuple[str, ...]) -> dict[str, str] | str | None:
    if not scores:
        return None
    if len(scores) == 1 and "=" not in scores[0]:
        return scores[0]
    found = {}
    for given in scores:
        output, equals, column = given.rpartition("=")
        if not (output and equals and column):
            raise click.BadParameter(f"{given!r}: OUTPUT=COLUMN is needed", param_hint="--scores")
        found[output] = column
    return found


def _to_json(check: TargetCheck | RowsCheck) -> dict[str, Any]:
    said = asdict(check)
    if isinstance(check, RowsCheck):
        said["agrees"] = check.agrees
    return _finite(said)  # type: ignore[no-any-return]


def _finite(value: Any) -> Any:
    """NaN and infinities as text, which JSON has no numbers for."""
    if isinstance(value, dict):
        return {str(key): _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    if isinstance(value, float) and not abs(value) < float("inf"):
        return str(value)
    return value


def _show_target(check: TargetCheck) -> None:
    if check.lacks:
        click.echo(f"{check.target}: not verified: {check.lacks}")
        return
    click.echo(
        f"{check.target}: verified on {check.rows} rows, largest difference "
        f"{check.largest_difference:.1e}"
    )


def _show_rows(check: RowsCheck) -> None:
    click.echo(
        f"{check.target}: {check.rows} rows, {check.beyond} of them further off than "
        f"{check.tolerance:g}; largest difference {check.largest:.3g}, mean {check.mean:.3g}"
    )
    for output, (recorded, computed) in check.auc.items():
        click.echo(f"AUC of {output}: recorded {recorded:.6f}, computed {computed:.6f}")
    for row, why in list(check.refused.items())[:_MOST_REFUSED]:
        click.echo(f"row {row} is refused: {why}")
    if len(check.refused) > _MOST_REFUSED:
        click.echo(f"{len(check.refused) - _MOST_REFUSED} more rows are refused")
    for worst in check.worst:
        fields = ", ".join(f"{name}={short_repr(value)}" for name, value in worst.fields.items())
        click.echo(
            f"row {worst.row}, {worst.output}: recorded {worst.recorded:.9g}, computed "
            f"{worst.computed:.9g}: {fields}"
        )
    for text in check.suspects:
        click.echo(f"likely: {text}")
