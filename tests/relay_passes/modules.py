"""Modules and values for the tests of the graph passes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tvm
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tvm import relax, tirx
from tvm.ir import IRModule

from rtcompile.relay_passes.analysis.binding_times import BindingTime, with_sides
from rtcompile.relay_passes.matching import bindings, call_name
from rtcompile.relay_passes.report import PassReport

Array = npt.NDArray[Any]
GraphPass = Callable[[IRModule, PassReport], IRModule]
Emit = Callable[[Any], Any]

ROWS = 3
USER, ITEM, CROSS = BindingTime.USER, BindingTime.ITEM, BindingTime.CROSS

HOSTILE = st.sampled_from([0.0, -0.0, 1.0, -1.5, 3e38, -3e38, 1e-40, np.inf, -np.inf, np.nan])
ANY = st.one_of(HOSTILE, st.floats(width=32))
FINITE = st.floats(-64, 64, width=32)
# Sums of a few products of these are exact in float32, in whatever order.
EXACT = st.integers(-64, 64).map(lambda value: value / 8)


def network(
    inputs: dict[str, Sequence[Any]],
    body: Callable[..., Any],
    sides: Sequence[BindingTime] | None = None,
    dtypes: dict[str, str] | None = None,
) -> IRModule:
    """`main` of `inputs`, whose extents "n" are the batch; `body(emit, *inputs)` is its result."""
    batch = tirx.Var("n", "int64")
    params = []
    for name, shape in inputs.items():
        extents = [batch if extent == "n" else extent for extent in shape]
        dtype = (dtypes or {}).get(name, "float32")
        params.append(relax.Var(name, relax.TensorType(extents, dtype)))
    builder = relax.BlockBuilder()
    with builder.function("main", params):
        with builder.dataflow():
            result = body(builder.emit, *params)
            if isinstance(result, tuple):
                result = relax.Tuple([builder.emit(part) for part in result])
            output = builder.emit_output(result)
        builder.emit_func_output(output)
    mod = builder.get()
    return mod if sides is None else with_sides(mod, sides)


def batch_of(variable: Any) -> Any:
    """The extent of the batch, of a variable whose first axis it is."""
    return variable.ty.shape.values[0]


def reshape(x: Any, *extents: int) -> Any:
    """A reshape that leaves the batch in front."""
    return relax.op.reshape(x, relax.ShapeExpr([batch_of(x), *extents]))


def const(value: Any, dtype: str = "float32") -> Any:
    """A constant."""
    return relax.const(np.asarray(value, dtype), dtype)


def weight(*shape: int) -> Array:
    """A matrix of quarters, each value another one."""
    count = int(np.prod(shape))
    return ((np.arange(count) - count // 3) / 4).astype(np.float32).reshape(shape)


def kernel(name: str, fields: Sequence[Any], x: Any, *extents: int) -> Any:
    """A call of a kernel, whose result has the rows of `x`."""
    ty = relax.TensorType([batch_of(x), *extents], "float32")
    return relax.op.call_dps_packed(name, relax.Tuple(list(fields)), out_ty=ty)


def run(graph_pass: GraphPass, mod: IRModule) -> tuple[IRModule, PassReport]:
    """What a pass makes of a module, and its report."""
    report = PassReport(graph_pass.__name__)
    return graph_pass(mod, report), report


def assert_rewrites(
    graph_pass: GraphPass, before: IRModule, expected: IRModule, applied: int = 1
) -> IRModule:
    """The pass makes `expected` of `before`, `applied` times, and then nothing more."""
    after, report = run(graph_pass, before)
    tvm.ir.assert_structural_equal(after, expected)
    assert report.applied == applied
    assert_settled(graph_pass, after)
    return after


def assert_settled(graph_pass: GraphPass, after: IRModule) -> None:
    """Another run changes nothing and applies nowhere."""
    again, report = run(graph_pass, after)
    tvm.ir.assert_structural_equal(again, after)
    assert report.applied == 0


def assert_stays(graph_pass: GraphPass, mod: IRModule, reason: str | None = None) -> None:
    """The pass leaves `mod` alone, and says why where a `reason` is asked for."""
    after, report = run(graph_pass, mod)
    tvm.ir.assert_structural_equal(after, mod)
    assert report.applied == 0
    if reason is None:
        assert not report.refused
    else:
        assert len(report.refused) == 1
        assert reason in report.refused[0]


def calls(mod: IRModule) -> list[str]:
    """The operators of `main` in order, kernels by their names."""
    found = []
    for value in bindings(mod["main"]).values():
        name = call_name(value)
        if name == "relax.call_dps_packed":
            found.append(str(value.args[0].global_symbol))
        elif name is not None:
            found.append(name.removeprefix("relax."))
    return found


def arrays(*shape: int, values: st.SearchStrategy[float] = ANY) -> st.SearchStrategy[Array]:
    """float32 arrays of a shape."""
    return hnp.arrays(np.float32, shape, elements=values.map(np.float32))
