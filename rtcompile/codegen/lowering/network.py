"""Lower the graph of a stage, after the passes, to a straight line of kernel calls.

The graph is Relax in A-normal form. Every binding is one of
    call_tir(kernel, inputs)                        a legalised, fused kernel
    call_dps_packed("rtc.NAME", operands)           a template: `lower_dense.py`, `lower_calls.py`,
                                                    `lower_lookup.py`, `lower_bags.py`,
                                                    `lower_quantized.py`
    reshape(x), tuples and their items              no code: another name for the same memory
Anything else is refused by name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from functools import partial
from typing import Any

import numpy as np
import tvm
import tvm_ffi
from tvm import relax

from rtcompile.codegen.kernels.copy_rows import copy_kernel, copy_kernel_name
from rtcompile.codegen.kernels.panels import PanelConfig, default_panels
from rtcompile.codegen.kernels.spread_rows import RowForm, gather_rows_kernel, spread_rows_kernel
from rtcompile.codegen.lowering.generic import (
    GENERIC_KERNEL,
    GenericConfig,
    GenericKernel,
    function_text,
    lower_generic,
)
from rtcompile.codegen.lowering.lower_bags import BAG_LOWERINGS
from rtcompile.codegen.lowering.lower_calls import TEMPLATES
from rtcompile.codegen.lowering.lower_checks import CHECK_LOWERINGS
from rtcompile.codegen.lowering.lower_dense import DENSE_LAYERS
from rtcompile.codegen.lowering.lower_lookup import LOOKUPS
from rtcompile.codegen.lowering.lower_quantized import QUANTIZED
from rtcompile.codegen.lowering.lower_trimmed import TRIMMED
from rtcompile.codegen.lowering.origins import Origins, origins_of
from rtcompile.codegen.program.constants import ConstantStore
from rtcompile.codegen.program.kernel_configs import Choices
from rtcompile.codegen.program.level_order import by_level
from rtcompile.codegen.program.loop_calls import loop_calls
from rtcompile.codegen.program.memory_plan import MemoryPlan
from rtcompile.codegen.program.program import (
    ALIGNMENT,
    KernelCall,
    Pointer,
    Space,
    StageProgram,
    table_entry,
)
from rtcompile.codegen.program.row_shape import evaluate_extent, rows_factor
from rtcompile.codegen.program.tile_rows import stage_tile_task, tile_rows
from rtcompile.codegen.program.trials import Task
from rtcompile.codegen.program.value_roots import (
    VIEWS,
    Root,
    ValueRoots,
    is_observed,
)
from rtcompile.errors import RtcompileError, UnsupportedError
from rtcompile.relay_passes.dialect.checked_values import CHECK_INDEX, is_lengths
from rtcompile.relay_passes.matching import (
    bindings,
    call_name,
    constant_array,
    kernel_symbol,
)
from rtcompile.relay_passes.stage.split_stages import SPREAD
from rtcompile.runtime.abi.status import Status

__all__ = ["NetworkLowering", "Source", "lower_network"]

_LOWERINGS = {
    **{**DENSE_LAYERS, **TEMPLATES, **LOOKUPS, **BAG_LOWERINGS},
    **{**QUANTIZED, **TRIMMED, **CHECK_LOWERINGS},
}


# Of a digest in hex.
_DIGITS = 64

# As arguments of their own; more come by one table of addresses: what checks a function's arguments
# is a function that LLVM takes time for that grows with the square of their number.
_MOST_OUTPUTS = 32


class Source(Enum):
    """What the buffer of an input holds."""

    ROWS = "rows"  # a value a row
    USER = "user"  # one value for all rows
    ITEM = "item"  # a value an item; rows are gathered by the items' places


def lower_network(
    mod: Any,
    program: StageProgram,
    constants: ConstantStore,
    choices: Choices,
    table_names: Mapping[bytes, str],
    sources: Sequence[Source] = (),
    origins: Sequence[Origins] = (),
) -> None:
    """Append the calls of `mod["main"]` to `program`. Its ports are the function's, in order.

    `table_names` gives the name of an embedding table by the digest of its values. `sources` says
    of each input what its buffer holds; without it, every buffer holds the rows. Where a source is
    ITEM, the program's last input is the items' places, int64 [rows]. `origins`: what of a request
    each input comes from, for messages; without it, from itself.
    """
    NetworkLowering(mod, program, constants, choices, table_names, origins).run(sources)


class NetworkLowering:
    """State of one lowering: where each value lies, and who still reads it.

    `plan` is the workspace, of which a call may borrow; `table_names` as `lower_network` has it.
    """

    def __init__(
        self,
        mod: Any,
        program: StageProgram,
        constants: ConstantStore,
        choices: Choices,
        table_names: Mapping[bytes, str],
        origins: Sequence[Origins] = (),
    ) -> None:
        program.input_table = True
        program.output_table = len(program.outputs) > _MOST_OUTPUTS
        self.table_names = table_names
        self._mod = mod
        self._main = mod["main"]
        self.program = program
        self.constants = constants
        self.choices = choices
        self.registers = choices.registers
        self.plan = MemoryPlan()
        self._bound = by_level(bindings(self._main))
        program.tile_rows = self._tile_rows()
        self._values = ValueRoots(self._main, self._bound)
        self._last_read: dict[int, list[Root]] = defaultdict(list)  # step -> by none behind it
        for root, step in self._values.last_use.items():
            self._last_read[step].append(root)
        given = origins or [(f"input {port.name!r}",) for port in program.inputs]
        self._origins = dict(zip(self._main.params, given, strict=False))
        self._places: dict[Root, Pointer] = {}
        self._generic: dict[Any, tuple[GenericKernel, str, Task]] = {}
        self._pinned: set[Pointer] = set()  # inputs in the workspace: read in every tile
        self._lengths: dict[str, Pointer] = {}  # symbol -> of a request's sequence

    def run(self, sources: Sequence[Source]) -> None:
        """Place inputs and outputs, emit the calls, free what is read no more."""
        for index, param in enumerate(self._main.params):
            source = sources[index] if sources else Source.ROWS
            self._places[(param, 0)] = self._place_input(index, source)
        self._place_outputs()
        for step, (var, value) in enumerate(self._bound.items()):
            if self._values.is_made(var) or is_observed(value):
                self._emit(var, value)
            self._free_after(step)
        self._copy_aliased_outputs()
        self.program.workspace_bytes = self.plan.size
        loop_calls(self.program, self.constants)

    def _tile_rows(self) -> int:
        """By analysis, or, of the stage that runs for the rows of a request, as measured."""
        default = tile_rows(self._bound)
        if not self.program.tuned_tile:
            return default
        task = stage_tile_task(self._mod, self._bound, default)
        return self.choices.config(task, {"rows": default})["rows"]

    def _place_input(self, index: int, source: Source) -> Pointer:
        """Where a tile finds an input: in its buffer, or spread or gathered in the workspace."""
        given, port = table_entry(Space.INPUT_TABLE, index), self.program.inputs[index]
        if source is Source.ROWS:
            return given
        if source is Source.USER:
            return self.spread(given, port.row_elements, port.dtype)
        target = self._pin(port.row_elements, port.dtype)
        form = RowForm(port.dtype, port.row_elements)
        self.kernel(form.gather_name, lambda: gather_rows_kernel(form))
        places = table_entry(Space.INPUT_TABLE, len(self.program.inputs) - 1)
        self.call(form.gather_name, (given, places, target), 1)
        return target

    def _pin(self, row_elements: int, dtype: str) -> Pointer:
        """A place for a tile's rows that is never given to another value."""
        return self._pin_bytes(
            self.program.tile_rows * row_elements * int(np.dtype(dtype).itemsize)
        )

    def _pin_bytes(self, size: int) -> Pointer:
        target = Pointer(Space.WORKSPACE, self.plan.take(size))
        self._pinned.add(target)
        return target

    def spread(self, given: Pointer, row_elements: int, dtype: str) -> Pointer:
        """Copy the one row of `given` for every row of a tile, before the first tile."""
        target = self._pin(row_elements, dtype)
        form = RowForm(dtype, row_elements)
        self.kernel(form.spread_name, lambda: spread_rows_kernel(form))
        self.program.prologue.append(KernelCall(form.spread_name, (given, target), 1))
        return target

    # -- memory -------------------------------------------------------------------------------

    def _place_outputs(self) -> None:
        self._copies: list[tuple[Any, int]] = []
        for index, result in enumerate(self._values.results):
            root = self._values.roots.get(result)
            if root is None or root in self._places or isinstance(result, tvm.ir.GenericConst):
                self._copies.append((result, index))
            else:
                self._places[root] = self._output(index)

    def _output(self, index: int) -> Pointer:
        """The place of a tile's rows of an output."""
        if self.program.output_table:
            return Pointer(Space.OUTPUT_TABLE, 2 * index)
        return Pointer(Space.OUTPUT, index=index)

    def _copy_aliased_outputs(self) -> None:
        for result, index in self._copies:
            port = self.program.outputs[index]
            name = copy_kernel_name(port.dtype, port.per_request)
            self.kernel(name, partial(copy_kernel, port.dtype, port.per_request))
            places = self.at(result), self._output(index)
            if port.per_request:
                self.call(name, places, 1, (port.row_elements,))
            else:
                self.call(name, places, port.row_elements)

    def at(self, expression: Any) -> Pointer:
        """Where a value lies; a constant is placed."""
        array = constant_array(expression)
        if array is not None:
            return self.constants.add(array)
        return self._places[self._values.roots[expression]]

    def _bytes(self, shape: Any, dtype: str) -> int:
        count = int(np.dtype(dtype).itemsize)
        for extent in shape:
            count *= evaluate_extent(extent, self.program.tile_rows)
        return count

    def place(self, root: Root, ty: Any) -> Pointer:
        """The place of result `root[1]` of the call that `root[0]` is bound to."""
        if root not in self._places:
            size = self._bytes(ty.shape.values, str(ty.dtype))
            self._places[root] = Pointer(Space.WORKSPACE, self.plan.take(size))
        return self._places[root]

    def _free_after(self, step: int) -> None:
        for root in self._last_read[step]:
            place = self._places.get(root)
            free = place is not None and place.space == Space.WORKSPACE
            if place is not None and free and place not in self._pinned:
                self.plan.give(place.offset)
                del self._values.last_use[root]

    # -- for lowerings in files of their own --------------------------------------------------

    def panel_config(
        self, kernel: tuple[str, int], parameters: Any, factor: int
    ) -> tuple[PanelConfig, str]:
        """How a kernel is cut, and what its name says of it where that is not the default."""
        default = default_panels(self.registers)
        task = self.task(kernel, parameters, factor)
        config = PanelConfig.of(self.choices.config(task, default.as_dict()))
        return config, "" if config == default else f"_{config.tag}"

    def task(self, kernel: tuple[str, int], parameters: Any, factor: int) -> Task:
        """What there is to tune of a kernel that gets `factor` rows for each row of a tile."""
        most = 1 if self.program.single_row else self.program.tile_rows
        rows = {"least": factor, "most": factor * most}
        return Task.of(*kernel, {**parameters, **rows})

    def origins(self, expression: Any) -> Origins:
        """What of a request a value is computed from."""
        return origins_of(expression, self._bound, self._origins)

    def chosen_from(self, label: str) -> str:
        """What the TABLE of a check stands for (`checked_values.py`), in words."""
        if is_lengths(label):
            return f"the {label.replace('_', ' ')}"
        if len(label) != _DIGITS:
            return f"the data of {label}"
        name = self.table_names.get(bytes.fromhex(label))
        return f"table {name!r}" if name else "a table without a name"

    def is_read(self, root: Root) -> bool:
        """Whether anyone reads a result."""
        return root in self._values.last_use or root in self._places

    def put(self, root: Root, place: Pointer) -> None:
        """Say where a result lies that needs no place of its own."""
        self._places[root] = place

    def kernel(self, name: str, make: Callable[[], Any]) -> None:
        """Have the kernel `name` in the program."""
        if name not in self.program.kernels:
            self.program.kernels[name] = make()

    def status_words(self, number: int, words: int) -> Pointer:
        """The place of layer `number`'s words, of as many each, behind those of the status."""
        program = self.program
        program.calibration_words = max(program.calibration_words, (number + 1) * words)
        return Pointer(Space.STATUS, Status.WORDS + number * words)

    # -- kernels ------------------------------------------------------------------------------

    def _emit(self, var: Any, value: Any) -> None:
        name = call_name(value)
        if isinstance(value, relax.Tuple | relax.ShapeExpr | tvm.ir.GenericConst):
            if isinstance(value, tvm.ir.GenericConst):
                self._places[(var, 0)] = self.constants.add(value.value.numpy())
            return
        if name == "relax.call_tir":
            self._emit_generic(var, value)
        elif name == "relax.call_dps_packed":
            self._emit_named(var, value)
        elif name in VIEWS:  # of a constant
            self._places[(var, 0)] = self.at(value.args[0])
        else:
            raise UnsupportedError(
                f"operator {name or type(value).__name__} cannot be lowered: it has no kernel"
            )

    def call(
        self,
        kernel: str,
        pointers: tuple[Pointer, ...],
        factor: int,
        scalars: Any = (),
        takes_length: bool = False,
        with_start: bool = False,
    ) -> None:
        """Append a call that gets `factor` rows for each row of a tile.

        `takes_length`: and the length of a sequence, whose place is the last of `pointers`.
        `with_start`: and the number of the tile's first row.
        """
        flags = {"takes_length": takes_length, "with_start": with_start}
        self.program.calls.append(KernelCall(kernel, pointers, factor, tuple(scalars), **flags))

    def call_over(
        self,
        kernel: str,
        pointers: tuple[Pointer, ...],
        extents: tuple[Any, ...],
        scalars: Any = (),
        takes_length: bool = False,
    ) -> None:
        """Append a call that gets as many rows as `extents` have: all of a value's but its last.

        `takes_length`: and the length of the sequence that they are trimmed to.
        """
        symbol = str(getattr(extents[0], "name", "")) if extents else ""
        if symbol not in self._lengths:
            self.call(kernel, pointers, rows_factor(extents), scalars)
            return
        given = (*pointers, self._lengths[symbol])
        flags = {"by_length": True, "takes_length": takes_length}
        self.program.calls.append(KernelCall(kernel, given, 1, tuple(scalars), **flags))

    def length_of_sequence(self, symbol: str) -> Pointer:
        """The place of the length that a symbol of trimmed rows stands for."""
        if symbol not in self._lengths:
            self._lengths[symbol] = self._pin_bytes(ALIGNMENT)
        return self._lengths[symbol]

    def _emit_generic(self, var: Any, value: Any) -> None:
        checked = [place for place, a in enumerate(value.args[1].fields) if self._is_checked(a)]
        kernel, name = self._kernel_of(var, value.args[0], tuple(checked))
        inputs = tuple(
            self.at(argument)
            for argument in value.args[1].fields
            if isinstance(argument.ty, relax.TensorType)  # the row count is passed last anyway
        )
        results = var.ty.fields if isinstance(var.ty, relax.TupleType) else [var.ty]
        outputs = tuple(self.place((var, i), ty) for i, ty in enumerate(results))
        taken = [self.plan.take(self._bytes(*temporary)) for temporary in kernel.temporaries]
        lent = tuple(Pointer(Space.WORKSPACE, offset) for offset in taken)
        self.call(name, inputs + outputs + lent, 1)
        for offset in taken:
            self.plan.give(offset)

    def _is_checked(self, argument: Any) -> bool:
        """Whether a value is an index that was checked, or spread after that."""
        value: Any = self._bound.get(self._values.roots.get(argument, (None, 0))[0])
        symbol = kernel_symbol(value)
        if symbol == SPREAD:
            return self._is_checked(value.args[1].fields[0])
        return symbol.startswith(f"{CHECK_INDEX}.")

    def _kernel_of(self, var: Any, global_var: Any, checked: tuple[int, ...]) -> tuple[Any, str]:
        """`_generic_kernel`, or UnsupportedError that names the node where TVM has none."""
        try:
            return self._generic_kernel(global_var, checked)
        except RtcompileError:
            raise
        except Exception as error:  # TVM's errors have no base class in common
            lines = [line for line in str(error).splitlines() if line.strip()] or [
                type(error).__name__
            ]
            raise UnsupportedError(
                f"{global_var.name_hint} (node {var.name}) has no kernel in this form: "
                f"{lines[0].strip()[:300]}"
            ) from error

    def _generic_kernel(self, global_var: Any, checked: tuple[int, ...]) -> tuple[Any, str]:
        function = self._mod[global_var]
        key = (tvm_ffi.structural_hash(function), checked)
        if key not in self._generic:
            name = f"{self.program.name}_{global_var.name_hint}"
            name += "".join(f"_{place}" for place in checked)
            task = self.task(GENERIC_KERNEL, {"function": function_text(function)}, 1)
            config = self.choices.config(task, GenericConfig().as_dict())
            kernel = lower_generic(function, name, GenericConfig.of(config), checked)
            self.program.kernels[name] = kernel.function
            self.program.llvm |= kernel.llvm
            self._generic[key] = kernel, name, task
            return kernel, name
        kernel, name, task = self._generic[key]
        self.choices.config(task, GenericConfig().as_dict())  # counts the call
        return kernel, name

    def _emit_named(self, var: Any, value: Any) -> None:
        name = kernel_symbol(value)
        for prefix, lower in _LOWERINGS.items():
            if name == prefix or name.startswith(prefix + "."):
                return lower(self, var, value)
        raise UnsupportedError(f"kernel {name!r} is not known to the code generator")
