from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcompile.features.evaluate import FUNCTIONS, evaluate
from rtcompile.features.expression import ARGUMENTS, parse_expression


def _value(text: str, x: float = 0.0) -> float:
    return evaluate(parse_expression(text, ["x"]), {"x": x})


@pytest.mark.parametrize(
    ("text", "x", "expected"),
    [
        ("1 + 2 * 3", 0, 7),
        ("(1 + 2) * 3", 0, 9),
        ("-2 ^ 2", 0, -4),
        ("2 ^ 3 ^ 2", 0, 512),
        ("x > 20 ? 20 : x", 25, 20),
        ("x > 20 ? 20 : x", 5, 5),
        ("x ? 1 : x == 0 ? 2 : 3", 0, 2),
        ("1 < 2 && !0 || x", 0, 1),
        ("10 - 4 - 3", 0, 3),
        ("7 % 4 + mod(-7, 4)", 0, 0),
        ("min(3, x, 2) + max(1, x) + avg(1, 3) + sum(1, 2, 3)", 5, 2 + 5 + 2 + 6),
        ("round(2.5) + rint(2.5) + trunc(-1.5)", 0, 3 + 2 - 1),
        ("log10(1000) + ln(_e) + log2(8)", 0, 7),
        ("1e2 + .5", 0, 100.5),
    ],
)
def test_values(text: str, x: float, expected: float) -> None:
    assert _value(text, x) == pytest.approx(expected)


def test_results_of_c_where_python_raises() -> None:
    assert _value("1 / x") == math.inf
    assert math.isnan(_value("0 / x"))
    assert _value("-1 / x") == -math.inf
    assert math.isnan(_value("sqrt(0 - 1)"))
    assert _value("log(x)") == -math.inf
    assert _value("exp(1000)") == math.inf
    assert _value("sigmoid(-1000)") == 0.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 +", "unexpected the end at position 3"),
        ("1 $ 2", r"unexpected '\$' at position 2"),
        ("sqr(4)", "unknown function 'sqr' at position 0; did you mean 'sqrt'"),
        ("y + 1", "unknown name 'y'"),
        ("(1", "unexpected the end"),
        ("mod(1)", "takes 2 arguments"),
        ("1 2", "unexpected '2' at position 2"),
    ],
)
def test_errors_give_the_position(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_expression(text, ["x"])


@given(x=st.floats(), y=st.floats(), name=st.sampled_from(sorted(FUNCTIONS)))
def test_evaluation_never_raises(x: float, y: float, name: str) -> None:
    arguments = ", ".join("xyxy"[: ARGUMENTS[name][0]])
    text = f"{name}({arguments}) / y + (x % y) ^ y"
    assert isinstance(evaluate(parse_expression(text, ["x", "y"]), {"x": x, "y": y}), float)
