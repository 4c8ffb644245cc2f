"""Schedule and lower the kernels that no template covers.

Whatever Relax legalises into a TIR PrimFunc (element-wise chains, reductions, softmax, small
batched products, concatenations) becomes a kernel with a pointer ABI:

    kernel(inputs..., outputs..., temporaries..., rows)

1. element-wise blocks with one reader are inlined into it; where it reads them in several places,
   only if they are small: a chain of such operators would double with each;
2. each reduction is split into its initialisation and its update, and the loop over which most
   accesses are contiguous goes innermost, so that LLVM vectorises it: a dense loop nest is never
   left in the order of its definition;
3. temporaries become parameters: the caller's workspace holds them, nothing is allocated.

`GenericConfig` has other ways to order, fuse, vectorise and unroll the loops; `rtcompile tune`
searches them.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Any

import tvm
import tvm_ffi
from tvm import s_tir, tirx
from tvm.ir.expr import TensorLoad

from rtcompile.codegen.emit.bounded_accesses import with_bounded_accesses
from rtcompile.codegen.emit.safe_divisors import with_safe_divisors
from rtcompile.codegen.kernels.vector_math import with_vector_math
from rtcompile.relay_passes.exact.exact_llvm import exact_llvm
from rtcompile.relay_passes.exact.exact_values import exact_values, extern_names

__all__ = [
    "GENERIC_KERNEL",
    "GenericConfig",
    "GenericKernel",
    "function_text",
    "generic_configs",
    "lower_generic",
    "text_function",
]

# The name and version of these kernels in tuning records.
GENERIC_KERNEL = ("generic", 1)


@dataclass(frozen=True)
class GenericConfig:
    """How the loops of a kernel are scheduled; where a loop's extent does not allow it, it stays.

    `fuse`: 1 where the loops of known extent of an element-wise block become one. `lanes`: of the
    vectors that the innermost loop is cut into, 0 leaves that to LLVM. `unroll`: steps of a
    reduction that one turn of its loop does. `inner`: 1 where the reduction is the innermost loop,
    whatever is contiguous.
    """

    fuse: int = 0
    lanes: int = 0
    unroll: int = 1
    inner: int = 0

    @staticmethod
    def of(config: Mapping[str, int]) -> GenericConfig:
        """The config of a record."""
        return GenericConfig(**config)

    def as_dict(self) -> dict[str, int]:
        """The config as a record has it."""
        return asdict(self)


def generic_configs() -> list[GenericConfig]:
    """What there is to try, the default first."""
    return [GenericConfig(*one) for one in product((0, 1), (0, 8, 16, 32), (1, 2, 4), (0, 1))]


def function_text(function: Any) -> str:
    """A PrimFunc as a word, for a task's parameters."""
    packed = zlib.compress(tvm.ir.save_json(function).encode(), 9)
    return base64.b85encode(packed).decode()


def text_function(text: str) -> Any:
    """The PrimFunc of `function_text`."""
    return tvm.ir.load_json(zlib.decompress(base64.b85decode(text)).decode())


@dataclass(frozen=True)
class GenericKernel:
    """A lowered kernel. `temporaries`: (shape, dtype) of each buffer the caller must lend.

    `llvm`: the texts of the functions that it calls.
    """

    function: Any
    temporaries: tuple[tuple[tuple[Any, ...], str], ...]
    rows: Any  # the symbolic row count, None where every shape is static
    llvm: frozenset[str] = frozenset()


_DEFAULT = GenericConfig()


def lower_generic(
    function: Any, name: str, config: GenericConfig = _DEFAULT, checked: Collection[int] = ()
) -> GenericKernel:
    """Schedule `function`, a legalised PrimFunc over one symbolic extent, and lower it.

    `checked`: its parameters that hold indices which are in bounds.
    """
    function = function.with_attr("global_symbol", name)
    schedule = s_tir.Schedule(tvm.IRModule({name: function}))
    _inline(schedule, name)
    exact = exact_values(with_safe_divisors(schedule.mod[name]))
    schedule = s_tir.Schedule(tvm.IRModule({name: exact}))
    for block in schedule.get_child_blocks(schedule.get_sblock("root", name)):
        _schedule_block(schedule, block, config)
    lowered = with_bounded_accesses(_LOWERING(schedule.mod)[name], checked)
    kernel = _pointer_abi(with_vector_math(lowered))
    return replace(kernel, llvm=exact_llvm(extern_names(kernel.function)))


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


# Nodes of an expression that may be written out in several places.
_MOST_COPIED = 16


def _inline(schedule: Any, name: str) -> None:
    """Inline every block that writes element by element and has exactly one reader."""
    root = schedule.get_sblock("root", name)
    for block in schedule.get_child_blocks(root):
        consumers = schedule.get_consumers(block)
        if len(consumers) != 1 or _reduction_loops(schedule, block):
            continue
        if not _may_be_copied(schedule.get(block), schedule.get(consumers[0])):
            continue
        try:
            schedule.compute_inline(block)
        except s_tir.schedule.ScheduleError:
            continue  # not injective (a scatter, an opaque body): it stays a loop of its own


def _may_be_copied(block: Any, reader: Any) -> bool:
    """Whether a block's value is read in one place, or small enough to be computed in each."""
    written = block.writes[0].source
    loads: list[Any] = []
    inside: list[Any] = []

    def count_inside(call: Any) -> None:
        for argument in call.args:
            tvm_ffi.structural_walk(argument, (TensorLoad, inside.append), order="post")

    walked = [(TensorLoad, loads.append), (tvm.ir.Call, count_inside)]
    tvm_ffi.structural_walk(reader.body, walked, order="post")
    # What TVM makes of tanh and its like reads the argument more than once.
    places = sum(bool(load.source.same_as(written)) for load in loads + inside)
    return places <= 1 or _nodes(block.body) <= _MOST_COPIED


def _nodes(body: Any) -> int:
    """Operators and loads of an expression; a function counts for several."""
    found: list[Any] = []
    kinds = [(kind, found.append) for kind in _OPERATORS]
    tvm_ffi.structural_walk(body, kinds, order="post")
    return sum(_FUNCTION if isinstance(node, tvm.ir.Call) else 1 for node in found)


_FUNCTION = 8
_OPERATORS = (
    *(TensorLoad, tvm.ir.Call, tirx.Select, tirx.Cast, tirx.Max, tirx.Min),
    *(tirx.Add, tirx.Sub, tirx.Mul, tirx.Div, tirx.FloorDiv, tirx.FloorMod),
    *(tirx.And, tirx.Or, tirx.Not, tirx.LT, tirx.LE, tirx.GT, tirx.GE, tirx.EQ, tirx.NE),
)


def _reduction_loops(schedule: Any, block: Any) -> list[int]:
    kinds = [var.iter_type for var in schedule.get(block).iter_vars]
    return [index for index, kind in enumerate(kinds) if kind == tirx.IterVar.CommReduce]


def _schedule_block(schedule: Any, block: Any, config: GenericConfig) -> None:
    """Put the loop with the most contiguous accesses innermost; split off initialisation."""
    loops = schedule.get_loops(block)
    reductions = _reduction_loops(schedule, block)
    if len(loops) != len(schedule.get(block).iter_vars):
        return
    if not reductions:
        _schedule_elements(schedule, loops, config)
        return
    spatial = [index for index in range(len(loops)) if index not in reductions]
    best = None if config.inner else _most_contiguous(schedule, block, spatial)
    outer = [loops[index] for index in spatial if index != best]
    inner = [loops[best]] if best is not None else []
    order = outer + [loops[index] for index in reductions] + inner
    if len(order) > 1:
        schedule.reorder(*order)
    schedule.decompose_reduction(block, loops[reductions[0]])
    if inner:
        _vectorize(schedule, inner[0], config.lanes)
    last = loops[reductions[-1]]
    if config.unroll > 1 and _extent(schedule, last) % config.unroll == 0:
        _, part = schedule.split(last, [None, config.unroll])
        schedule.unroll(part)


def _schedule_elements(schedule: Any, loops: list[Any], config: GenericConfig) -> None:
    """Fuse the last loops of known extent, and cut the innermost into vectors."""
    known = [loop for loop in loops if _extent(schedule, loop)]
    if not known or loops[-len(known) :] != known:
        return
    innermost = schedule.fuse(*known) if config.fuse and len(known) > 1 else known[-1]
    _vectorize(schedule, innermost, config.lanes)


def _vectorize(schedule: Any, loop: Any, lanes: int) -> None:
    if lanes and _extent(schedule, loop) % lanes == 0:
        _, vector = schedule.split(loop, [None, lanes])
        schedule.vectorize(vector)


def _extent(schedule: Any, loop: Any) -> int:
    """Of a loop; 0 where it is not known."""
    extent = schedule.get(loop).extent
    return int(extent.value) if isinstance(extent, tirx.IntImm) else 0


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
