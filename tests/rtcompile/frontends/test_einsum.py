from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

import rtcompile
from rtcompile.errors import UnsupportedError
from rtcompile.frontends.onnx.einsum_equation import parsed_equation
from tests.rtcompile.frontends.graphs import agrees, graph

_SIZES = {"n": 9, "b": 3, "d": 4, "e": 5, "h": 2, "i": 6, "j": 6, "k": 4, "o": 3, "p": 4}
# Each letter is an axis, n the rows; "W" stands before an operand that is a constant.
_EQUATIONS = [
    "nij->ni",
    "nij->n",
    "nii->ni",
    "niid->nd",
    "nij->nji",
    "nii",
    "npo",
    "ni,ni->n",
    "nij,nj->ni",
    "nihd,njhd->nhij",
    "nhij,njhd->nihd",
    "nd,Wdbe->nbe",
    "nbd,Wbde->nbe",
    "nbd,Wdeh->nehb",
    "Wed,nd->ne",
    "nbd,nbe->nde",
    "nb,nd,ne->nbde",
    "nbd,Wde,nbe->nb",
    "n...d,Wde->n...e",
    "n...,n...->n...",
    "...d,Wde",
]


def _model(equation: str) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """A graph of the equation alone, and rows for it."""
    rng = np.random.default_rng(0)
    given, types, plain = {}, [], equation.replace("W", "")
    for place, term in enumerate(equation.partition("->")[0].split(",")):
        wide = term.lstrip("W").replace("...", "bi" if term.startswith("n") else "nb")
        name, shape = f"x{place}", [_SIZES[letter] for letter in wide]
        given[name] = rng.normal(size=shape).astype(np.float32)
        if not term.startswith("W"):
            types.append(f"float[{','.join(['N', *map(str, shape[1:])])}] {name}")
    extents = ",".join(["N", *map(str, np.einsum(plain, *given.values()).shape[1:])])
    text = f"""g ({", ".join(types)}) => (float[{extents}] y) {{
        y = Einsum<equation="{plain}">({", ".join(given)}) }}"""
    rows = {name: given[name] for name in given if any(t.endswith(f" {name}") for t in types)}
    return graph(text, **{k: v for k, v in given.items() if k not in rows}), rows


@pytest.mark.slow
@pytest.mark.parametrize("equation", _EQUATIONS)
def test_einsum(equation: str, tmp_path: Path) -> None:
    model, rows = _model(equation)
    agrees(model, rows, tmp_path, counts=(1, 70))


@pytest.mark.slow
@pytest.mark.parametrize("equation", ["ni->i", "ni,ni->i", "ni,ni->", "nn->n"])
def test_a_sum_along_the_batch_is_refused(equation: str, tmp_path: Path) -> None:
    model = graph(f"""g (float[N,9] x) => (float[N] y) {{
        y = Einsum<equation="{equation}">({", ".join("x" * len(equation.split(",")))}) }}""")
    onnx.save(model, tmp_path / "m.onnx")
    with pytest.raises(UnsupportedError, match=r"Einsum: .*batch"):
        rtcompile.build(tmp_path / "m.onnx", output=tmp_path / "m.rtc")


def test_equations() -> None:
    assert parsed_equation("ij, jk -> ik", [2, 2]) == (["ij", "jk"], "ik")
    assert parsed_equation("ba", [2]) == (["ba"], "ab")
    assert parsed_equation("...i,ij", [3, 2]) == (["abi", "ij"], "abj")
    assert parsed_equation("b...,...->b...", [3, 1]) == (["bac", "c"], "bac")
    assert parsed_equation(",i->i", [0, 1]) == (["", "i"], "i")


@pytest.mark.parametrize(
    ("equation", "ranks"),
    [
        ("ij->ik", [2]),
        ("ij->ii", [2]),
        ("ij,jk->ik", [2]),
        ("ij->i", [3]),
        ("i1->i", [2]),
        ("i.j", [2]),
        ("i......->i", [4]),
        ("ij->i->j", [2]),
    ],
)
def test_equations_that_are_none(equation: str, ranks: list[int]) -> None:
    with pytest.raises(ValueError, match="equation"):
        parsed_equation(equation, ranks)
