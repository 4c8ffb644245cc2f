"""Requests that no operator could take, and that a graph may all the same define an answer for.

    zero divisors       a zero for an input that an integer divisor is computed from: of a graph
                        that divides by Where(n == 0, 1, n)
    indices outside     numbers far beyond any table for an input that an index is computed from: of
                        a graph that clips it

A division by zero would end the process that asks ONNX Runtime, so the divisors alone are computed
first, and what makes one of them zero is no request of these.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper

from rtcompile.errors import ModelError
from rtcompile.frontends.onnx.integer_uses import integer_divisors
from rtcompile.frontends.onnx.rewrite.graph_edit import needed_nodes, with_nodes
from rtcompile.verification.draw_inputs import Batch, InputPlan
from rtcompile.verification.reference import open_reference

__all__ = ["Guarded", "guarded_requests"]

Inputs = Mapping[str, npt.NDArray[Any]]

_OUTSIDE = 10**6
_MOST_BYTES = 1 << 30  # of a model that is copied


@dataclass(frozen=True)
class Guarded:
    """A request of one row. `may_refuse`: whether an error is an answer, as for an index that a
    cast to fewer bits would change."""

    batch: Batch
    may_refuse: bool


def guarded_requests(model: Any, plan: InputPlan) -> Iterator[Guarded]:
    """Those that an onnx.ModelProto may answer. Only divisors are known not to end the process."""
    usual, uses = plan.draw(1, seed=0), plan.uses
    rows = [p for p in plan.ports if not (p.per_request or p.flat or p.cuts)]
    for port in (p for p in rows if p.name in uses.divisors and p.name not in plan.lengths):
        zeros = {**usual, port.name: np.zeros_like(usual[port.name])}
        if port.name not in uses.extents and _has_no_zero_divisor(model, zeros):
            yield _request(zeros, f"a zero for {port.name!r}", may_refuse=False)
    taken = uses.extents | uses.divisors | plan.ids.whole.keys() | plan.ids.columns.keys()
    for port in (p for p in rows if p.name in uses.indices - taken and p.name not in plan.lengths):
        given = usual[port.name]
        for number in _outside(given.dtype):
            outside = {**usual, port.name: np.full_like(given, number)}
            yield _request(outside, f"{number} for {port.name!r}", may_refuse=True)


def _outside(dtype: np.dtype[Any]) -> tuple[int, int]:
    """Numbers of the dtype below and above any index."""
    if dtype.kind not in "iu":
        return -_OUTSIDE, _OUTSIDE
    limits = np.iinfo(dtype)
    return max(-_OUTSIDE, int(limits.min)), min(_OUTSIDE, int(limits.max))


def _request(inputs: Inputs, kind: str, may_refuse: bool) -> Guarded:
    return Guarded(Batch(inputs, (kind,), np.zeros(1, bool)), may_refuse)


def _has_no_zero_divisor(model: Any, inputs: Inputs) -> bool:
    """Whether all integer divisors are known, and none is zero."""
    names = integer_divisors(model)
    nodes = needed_nodes(model.graph.node, names)
    inner = [a for node in model.graph.node for a in node.attribute if a.type == a.GRAPH]
    if inner or model.functions or model.ByteSize() > _MOST_BYTES:
        return False
    if {output for node in nodes for output in node.output} & _quotients(model):
        return False
    alone = onnx.ModelProto()
    alone.CopyFrom(model)
    del alone.graph.output[:]
    alone.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names)
    alone = with_nodes(alone, nodes)
    try:
        found = open_reference(alone)(names, {n: inputs[n] for n in inputs})
    except ModelError:
        return False
    return all(np.all(values) for values in found)


def _quotients(model: Any) -> set[str]:
    """What integer divisions give: a divisor that is one of these is not computed first."""
    names = set(integer_divisors(model))
    return {o for n in model.graph.node if names & {*n.input[1:2]} for o in n.output}
