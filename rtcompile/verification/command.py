"""`rtcompile verify`."""

from __future__ import annotations

from pathlib import Path

import click

from rtcompile.errors import VerificationError

__all__ = ["verify_command"]

_PATH = click.Path(path_type=Path)


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
    from rtcompile.verification.replay_rows import RowsCheck
    from rtcompile.verification.show_checks import as_text, show_check

    columns = _by_output(scores)
    checks = verify(artifact, rows, columns, label=label, targets=targets, tolerance=tolerance)
    if as_json:
        click.echo(as_text(checks))
    else:
        for check in checks:
            show_check(check)
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
