"""What a graph's function takes and gives, as the ports of a stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tvm import relax

from rtcompile.codegen.program.program import TILE, Port
from rtcompile.codegen.program.row_shape import evaluate_extent
from rtcompile.errors import UnsupportedError
from rtcompile.relay_passes.dialect.embedding_bags import RaggedInput
from rtcompile.relay_passes.matching import static_int

__all__ = ["network_ports"]


def network_ports(
    function: Any,
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
    ragged: Sequence[RaggedInput] = (),
) -> tuple[tuple[Port, ...], tuple[Port, ...]]:
    """Ports of a function's parameters and results, named in order."""
    ret = function.ret_ty
    results = list(ret.fields) if isinstance(ret, relax.TupleType) else [ret]
    return (
        tuple(
            _with_bags(_port(name, param.ty), ragged)
            for name, param in zip(inputs, function.params, strict=True)
        ),
        tuple(map(_port, outputs, results)),
    )


def _with_bags(port: Port, ragged: Sequence[RaggedInput]) -> Port:
    for one in ragged:
        if port.name == one.offsets:
            return replace(port, cuts=one.flat, last_offset=one.last)
        if port.name in one.flat:
            return replace(port, shape=(), flat=True)
    return port


def _port(name: str, ty: Any) -> Port:
    if not isinstance(ty, relax.TensorType) or not isinstance(ty.shape, relax.ShapeExpr):
        raise UnsupportedError(f"{name!r}: its shape is not known when the model is built")
    extents = list(ty.shape.values)
    per_row = bool(extents) and static_int(extents[0]) is None
    rest = extents[1:] if per_row else extents
    if any(static_int(extent) is None for extent in rest):
        raise UnsupportedError(f"{name!r}: shape {extents} is dynamic behind its first axis")
    if per_row and evaluate_extent(extents[0], TILE) != TILE:
        raise UnsupportedError(f"{name!r}: its first axis, {extents[0]}, is not the batch")
    shape = tuple(int(extent) for extent in rest)
    return Port(name, str(ty.dtype), shape, per_request=not per_row)
