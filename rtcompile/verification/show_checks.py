"""What `rtcompile verify` prints of its checks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click

from rtcompile.runtime.shorten import short_repr
from rtcompile.verification.replay_recorded import TargetCheck
from rtcompile.verification.replay_rows import RowsCheck

__all__ = ["as_text", "show_check"]

_MOST_REFUSED = 3


def as_text(checks: Sequence[TargetCheck | RowsCheck]) -> str:
    """The checks as JSON."""
    return json.dumps([_plain(check) for check in checks], indent=1, default=str)


def show_check(check: TargetCheck | RowsCheck) -> None:
    """Print a check for a person."""
    _show_rows(check) if isinstance(check, RowsCheck) else _show_target(check)


def _plain(check: TargetCheck | RowsCheck) -> dict[str, Any]:
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
