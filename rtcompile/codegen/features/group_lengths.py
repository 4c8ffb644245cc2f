"""The kernel that compares the columns of a group of sequences: what belongs together is as long.

    for i in range(rows):
        longest = max(elements of each column in row i)
        for each column with fewer:  tally of the features that read it
        but one without any element is missing

It computes nothing that a network reads.
"""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit.pointers import ANY
from rtcompile.codegen.emit.structs import Struct
from rtcompile.codegen.emit.tir import i64
from rtcompile.codegen.features.encoded import EncodedColumn
from rtcompile.codegen.features.inputs import InputView, each_shorter
from rtcompile.codegen.features.tally import Tally
from rtcompile.runtime.abi.status import Tallied

__all__ = ["group_lengths_kernel", "group_lengths_kernel_name"]


def group_lengths_kernel_name(readers: tuple[int, ...]) -> str:
    """One kernel for groups whose columns have as many readers each."""
    return f"group_lengths_{'_'.join(map(str, readers))}"


def group_lengths_kernel(readers: tuple[int, ...]) -> Any:
    """A PrimFunc (columns*, status*, rows, start, then for each column it, and its readers' numbers
    in the tally)."""
    with IRBuilder() as builder, T.prim_func(private=True, s_tir=True):
        T.func_name(group_lengths_kernel_name(readers))
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True})
        columns_at, status_at = (T.arg(name, T.handle("int64")) for name in ("columns", "status"))
        rows, start = T.arg("rows", T.int64()), T.arg("start", T.int64())
        places, numbers = [], []
        for column, count in enumerate(readers):
            places.append(T.arg(f"column_{column}", T.int64()))
            numbers.append([T.arg(f"tally_{column}_{k}", T.int64()) for k in range(count)])
        columns = T.decl_buffer((ANY,), "int64", data=columns_at)
        status = Struct(Tallied, T.decl_buffer((ANY,), "int64", data=status_at))
        views = [InputView(EncodedColumn(columns, at, start), True, False) for at in places]
        tallies = [[Tally(status, number, start) for number in of] for of in numbers]
        with T.serial(rows) as i:
            longest = i64(1)
            for view in views:
                view.at_row(i)
                longest = T.Bind(tirx.max(longest, view.count))
            for view, of_column in zip(views, tallies, strict=True):
                with each_shorter(view, longest):
                    for tally in of_column:
                        tally.row = i
                        tally.unequal(view.count, longest)
        for tally in [tally for of_column in tallies for tally in of_column]:
            tally.finish()
    return builder.get()
