"""What a report in the status words of a stage says, as an error.

input 'ids': id 1000 is outside table 'items', which has 500 rows (row 3)
feature 'shown': integer division by zero (row 3)
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

from rtcompile.runtime.abi.layout import Field
from rtcompile.runtime.abi.status import REPORT, Code
from rtcompile.runtime.errors import RequestError, UnknownIdError

__all__ = ["refusal"]


def refusal(
    told: Mapping[Field, int],
    checks: Sequence[Mapping[str, Any]],
    features: Sequence[str],
    single_row: bool,
) -> RequestError:
    """The error of a report.

    `told`: its fields. `checks`, `features`: what its number stands for, as the stage's description
    has them. `single_row`: whether the stage has but one row, which is not worth a word.
    """
    code, number, given, row = (told[field] for field in REPORT)
    where = "" if single_row or row < 0 else f" (row {row})"
    if code == Code.NO_VALUE:
        return RequestError(
            f"feature {features[number]!r} has no value, and its config no default_value{where}"
        )
    check = checks[number]
    origins = ", ".join(check["origins"])
    who = f"{origins}: " if origins else ""
    if code == Code.DIVISION_BY_ZERO:
        return RequestError(f"{who}integer division by zero{where}")
    if code == Code.NOT_AN_ID:
        value = struct.unpack("d", struct.pack("q", given))[0]
        return UnknownIdError(f"{who}{value:.9g} is no id of {check['table']}{where}")
    value = given % (1 << 64) if check["unsigned"] else given
    return UnknownIdError(f"{who}id {value} is outside {check['table']}{_size(check)}{where}")


def _size(check: Mapping[str, Any]) -> str:
    places = check["places"]
    if len(places) == 1:
        return f", which has {places[0]} rows"
    return f", which is {' x '.join(map(str, places))}" if places else ""
