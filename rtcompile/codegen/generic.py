"""Schedule and lower the kernels that no template covers.

Whatever Relax legalises into a TIR PrimFunc (element-wise chains, reductions, softmax, small
batched products, concatenations) becomes a kernel with a pointer ABI:

    kernel(inputs..., outputs..., temporaries..., rows)

1. element-wise blocks with one reader are inlined into it;
2. each reduction is split into its initialisation and its update, and the loop over which most
   accesses are contiguous goes innermost, so that LLVM vectorises it: a dense loop nest is never
   left in the order of its definition;
3. temporaries become parameters: the caller's workspace holds them, nothing is allocated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tvm
import tvm_ffi
from tvm import s_tir, tirx
from tvm.ir.expr import TensorLoad

from rtcompile.codegen.vector_math import with_vector_math

__all__ = ["GenericKernel", "lower_generic"]


@dataclass(frozen=True)
class GenericKernel:
    """A lowered kernel. `temporaries`: (shape, dtype) of each buffer the caller must lend."""

    function: Any
    temporaries: tuple[tuple[tuple[Any, ...], str], ...]
    rows: Any  # the symbolic row count, None where every shape is static


def lower_generic(function: Any, name: str) -> GenericKernel:
    """Schedule `function`, a legalised PrimFunc over one symbolic extent, and lower it."""
    function = function.with_attr("global_symbol", name)
    schedule = s_tir.Schedule(tvm.IRModule({name: function}))
    _inline(schedule, name)
    for block in schedule.get_child_blocks(schedule.get_sblock("root", name)):
        _schedule_block(schedule, block)
    lowered = _LOWERING(schedule.mod)[name]
    return _pointer_abi(with_vector_math(lowered))


_LOWERING = tvm.ir.transform.Sequential(
    [
        s_tir.transform.CanonicalizeLoop(),
        s_tir.transform.LowerInitBlock(),
        s_tir.transform.PlanAndUpdateBufferAllocationLocation(),
        s_tir.transform.ConvertBlocksToOpaque(),
        s_tir.transform.CompactBufferAllocation(),
        s_tir.transform.LowerMatchBuffer(),
        s_tir.transform.StmtSimplify(),
        s_tir.transform.LowerOpaqueBlock(),
    ]
)


def _inline(schedule: Any, name: str) -> None:
    """Inline every block that writes element by element and has exactly one reader."""
    root = schedule.get_sblock("root", name)
    for block in schedule.get_child_blocks(root):
        consumers = schedule.get_consumers(block)
        if len(consumers) != 1 or _reduction_loops(schedule, block):
            continue
        try:
            schedule.compute_inline(block)
        except s_tir.schedule.ScheduleError:
            continue  # not injective (a scatter, an opaque body): it stays a loop of its own


def _reduction_loops(schedule: Any, block: Any) -> list[int]:
    kinds = [var.iter_type for var in schedule.get(block).iter_vars]
    return [index for index, kind in enumerate(kinds) if kind == tirx.IterVar.CommReduce]


def _schedule_block(schedule: Any, block: Any) -> None:
    """Put the loop with the most contiguous accesses innermost; split off initialisation."""
    loops = schedule.get_loops(block)
    reductions = _reduction_loops(schedule, block)
    if not reductions or len(loops) != len(schedule.get(block).iter_vars):
        return
    spatial = [index for index in range(len(loops)) if index not in reductions]
    best = _most_contiguous(schedule, block, spatial)
    outer = [loops[index] for index in spatial if index != best]
    inner = [loops[best]] if best is not None else []
    order = outer + [loops[index] for index in reductions] + inner
    if len(order) > 1:
        schedule.reorder(*order)
    schedule.decompose_reduction(block, loops[reductions[0]])


def _most_contiguous(schedule: Any, block: Any, spatial: list[int]) -> int | None:
    """The spatial axis that steps by one through the target and some operand, if there is one.

    None where only the reduction axis is contiguous: then the reduction stays innermost.
    """
    node = schedule.get(block)
    accesses = _accesses(node.body)
    best, votes = None, 0
    for index in spatial:
        extent = node.iter_vars[index].dom.extent
        if not isinstance(extent, tirx.IntImm) or int(extent.value) < 4:
            continue
        var = node.iter_vars[index].var
        contiguous = sum(_steps_by_one(access, var) for access in accesses)
        strided = sum(_mentions(access, var) for access in accesses) - contiguous
        if contiguous > strided and contiguous > votes:
            best, votes = index, contiguous
    return best


def _accesses(body: Any) -> list[tuple[Any, ...]]:
    """Index tuples of every load and store of a block's body."""
    found: list[tuple[Any, ...]] = []

    def visit(node: Any) -> None:
        found.append(tuple(node.indices))

    tvm_ffi.structural_walk(body, [(tirx.BufferStore, visit), (TensorLoad, visit)], order="post")
    return found


def _mentions(indices: tuple[Any, ...], var: Any) -> bool:
    found: list[Any] = []
    for index in indices:
        _collect_vars(index, found)
    return any(var.same_as(other) for other in found)


def _steps_by_one(indices: tuple[Any, ...], var: Any) -> bool:
    return bool(indices) and indices[-1].same_as(var)


def _pointer_abi(function: Any) -> GenericKernel:
    """Replace buffer parameters and temporaries by pointers, and pass the row count."""
    params: list[Any] = []
    declarations: list[Any] = []
    rows: list[Any] = []

    def lend(buffer: Any) -> None:
        pointer = tirx.Var(
            f"{buffer.name}_at", tvm.ir.PointerType(tvm.ir.PrimType(str(buffer.dtype)))
        )
        params.append(pointer)
        declarations.append(tirx.DeclBuffer(buffer, data=pointer))
        for extent in buffer.shape:
            _collect_vars(extent, rows)

    for param in function.params:
        if isinstance(param.ty, tirx.buffer.BufferType):
            lend(param)
        else:
            _collect_vars(param, rows)
    body = function.body.seq if isinstance(function.body, tirx.SeqStmt) else [function.body]
    rest, temporaries = [], []
    for statement in body:
        if isinstance(statement, tirx.AllocBuffer):
            lend(statement.buffer)
            shape = tuple(statement.buffer.shape)
            temporaries.append((shape, str(statement.buffer.dtype)))
        else:
            rest.append(statement)
    count = rows[0] if rows else None
    params.append(count if count is not None else tirx.Var("rows", "int64"))
    lowered = tirx.PrimFunc(params, tirx.SeqStmt(declarations + rest)).with_attr(
        {"tirx.is_scheduled": True, "tirx.noalias": True, "s_tir": True}
    )
    return GenericKernel(lowered, tuple(temporaries), count)


def _collect_vars(expression: Any, found: list[Any]) -> None:
    """Append the variables of `expression` that are not in `found` yet."""

    def visit(node: Any) -> None:
        if not any(node.same_as(other) for other in found):
            found.append(node)

    if not isinstance(expression, int):
        tvm_ffi.structural_walk(expression, (tirx.Var, visit), order="post")
