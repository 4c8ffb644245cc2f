"""A stage as a straight line of kernel calls over memory that the caller owns.

Lowering produces a `StageProgram`; `entry/stage.py` turns it into one function. All memory is in
arenas: the constants of the artifact, a workspace, and the stage's input and output buffers. A
`Pointer` is a place in one of them. Places that hold a value a row are sized for the rows of a
tile: the main function walks the rows of a request tile by tile, so a workspace has a constant
size.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rtcompile.runtime.abi.stage import PortTable
from rtcompile.runtime.abi.status import probes_from

__all__ = [
    "ALIGNMENT",
    "TILE",
    "CallLoop",
    "KernelCall",
    "Lookup",
    "Pointer",
    "Port",
    "Space",
    "StageProgram",
    "align",
    "table_entry",
]

# Rows a tile, at most (`tile_rows.py`). A multiple of 16, so that a tile of any dtype starts on an
# aligned address.
TILE = 64

# Bytes. Kernels may load and store whole vectors at the start of every buffer.
ALIGNMENT = 64


def align(size: int) -> int:
    """`size` in bytes, rounded up to the next aligned offset."""
    return -(-size // ALIGNMENT) * ALIGNMENT


@dataclass(frozen=True)
class Space:
    """Names of the arenas a pointer may lie in."""

    CONSTANTS = "constants"
    WORKSPACE = "workspace"
    INPUT = "input"
    INPUT_TABLE = "input_table"  # an input by its place in a table of addresses
    INPUTS = "inputs"  # the table of addresses itself
    OUTPUT = "output"
    OUTPUT_TABLE = "output_table"  # an output by its place in a table of addresses
    STATUS = "status"


@dataclass(frozen=True)
class Pointer:
    """A place: `offset` bytes into an arena, or the current tile of input or output `index`."""

    space: str
    offset: int = 0
    index: int = 0


def table_entry(space: str, index: int) -> Pointer:
    """An input or output in the table of them, `space`."""
    return Pointer(space, int(PortTable.PORTS.at(index)))


@dataclass(frozen=True)
class Port:
    """An input or output of a stage: `name`, `dtype`, and the extents behind the row axis.

    `row_elements` is the product of these extents. The buffer holds rows x row_elements values, or
    one row for all when `per_request` is set. What is `flat` has values of all rows behind one
    another, as many as there are; int64 [2] that `cuts` flat inputs says where a row's lie, which a
    caller gives as offsets, with a `last_offset` behind the last row's or without.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    per_request: bool = False
    flat: bool = False
    cuts: tuple[str, ...] = ()
    last_offset: bool = False

    @property
    def row_elements(self) -> int:
        """Elements a row."""
        count = 1
        for extent in self.shape:
            count *= extent
        return count


@dataclass(frozen=True)
class KernelCall:
    """One call: the kernel's name, its pointers, and how many rows it gets for each tile row.

    With `with_start`, the number of the tile's first row follows the row count. A `whole` call, of
    the prologue, gets all rows, and the first of them. With `by_length` or `takes_length`, the last
    pointer is not passed: an int64 lies there, the length of a sequence. By it the rows are
    multiplied, or it follows the row count.
    """

    kernel: str
    pointers: tuple[Pointer, ...]
    rows_factor: int = 1
    scalars: tuple[int, ...] = ()
    with_start: bool = False
    whole: bool = False
    by_length: bool = False
    takes_length: bool = False


@dataclass(frozen=True)
class CallLoop:
    """`count` runs of a few calls. Their places and scalars lie in the constants, at `table` bytes.

    The table is int64 [count, pointers and scalars of all forms]. `forms` give the kernels, arenas
    and rows factors, in the order of the calls.
    """

    forms: tuple[KernelCall, ...]
    table: int
    count: int


@dataclass(frozen=True)
class Lookup:
    """What is checked, for messages: what is chosen from, in words, and its places along the axes
    of the choice; what of the request that comes from. `unsigned`: by uint64."""

    table: str
    places: tuple[int, ...]
    origins: tuple[str, ...] = ()
    unsigned: bool = False


@dataclass
class StageProgram:
    """What runs in one stage, in order, with everything that it needs.

    With `output_table` the outputs are not arguments of their own: one int64 [outputs, 2] has the
    address of each and its bytes a row, so that calls that differ in their output share a loop.
    `input_table`: the inputs likewise. `reads_columns`: they are encoded columns;
    `compiled_columns`: compiled code can encode all but the items', and there are some;
    `reads_items`: there are columns of items. `counter`: the intrinsic that a profiled build times
    with. `llvm`: text of functions that kernels call. `tile_rows`: the most rows of a tile, which
    memory is sized for; 16 or more, also of a stage that has one row a request (`single_row`):
    kernels write whole vectors. `tuned_tile`: tuning records may say how many.
    `row_scratch`: bytes of scratch for each row of a call, and for two more.
    `calibration_words`: behind the status, which the calls of a calibrating build read or write.
    `tallied`: features by the numbers that they are counted under, behind the status too.
    """

    name: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    calls: list[KernelCall | CallLoop] = field(default_factory=list)
    prologue: list[KernelCall | CallLoop] = field(
        default_factory=list
    )  # once, before the first tile
    kernels: dict[str, Any] = field(default_factory=dict)  # name -> PrimFunc with pointer ABI
    lookups: list[Lookup] = field(default_factory=list)
    features: list[str] = field(default_factory=list)  # names, for messages
    workspace_bytes: int = 0
    output_table: bool = False
    input_table: bool = False
    counter: str = ""
    llvm: set[str] = field(default_factory=set)
    row_scratch: int = 0
    calibration_words: int = 0
    tallied: list[str] = field(default_factory=list)
    tile_rows: int = TILE
    single_row: bool = False
    reads_columns: bool = False
    compiled_columns: bool = False
    reads_items: bool = False
    tuned_tile: bool = False

    @property
    def probes_from(self) -> int:
        """Where those of a profiled build begin in the words of the status."""
        return probes_from(len(self.tallied), self.calibration_words)
