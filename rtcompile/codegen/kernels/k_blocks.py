"""Deep layers take their depth in parts: what a block multiplies again must lie near.

A panel of 64 columns has 256 bytes a step of the depth. Each block of rows reads it anew, 32 bytes
a cycle where a core multiplies 32 numbers a cycle: L2 gives that, what lies behind it does not. So
a panel that would fill L2 is cut by its depth:

    W of 8,152 x 1,024: 16 parts of 510 steps      panel by part: 128 KiB
    y = b + x[:, part 0] @ W[part 0];  y += x[:, part 1] @ W[part 1];  ...  y = f(y + the last)

Between parts the sums lie in y: a load and a store for each 510 products.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import tirx
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit.pointers import prefetch
from rtcompile.codegen.kernels.block_loops import kept
from rtcompile.codegen.kernels.panels import Panel, PanelConfig, pack_weight

__all__ = ["Ahead", "DepthPart", "are_far", "pack_parts", "steps_a_part"]

_PART_BYTES = 128 * 1024
_FAR_BYTES = 64 * 1024
_FLOAT_BYTES, _LINE_BYTES = 4, 64
_SECOND_NEAREST = 2  # cache


@dataclass(frozen=True)
class DepthPart:
    """`depth` steps from `begin` on, `unroll` of them in a turn of the loop.

    `first`: it starts the sums; `last`: it finishes them. `far`: its weights come from behind L2,
    so each block fetches some of the next panel's on the way (`Ahead`).
    """

    begin: Any
    depth: int
    first: bool = True
    last: bool = True
    unroll: int = 1
    far: bool = False


def steps_a_part(depth: int, config: PanelConfig) -> int:
    """How many steps of the depth a part has; `depth` where there is one.

    Where a panel is read once, by blocks of one row or by one block before the next panel, cutting
    it gains nothing.
    """
    most = _PART_BYTES // (_FLOAT_BYTES * config.width)
    if depth <= 2 * most or config.rows == 1 or config.rows_outer:
        return depth
    return -(-depth // -(-depth // most))


def are_far(weight_bytes: int) -> bool:
    """Whether a layer's weights leave L2 between two calls, as other layers' take their place.

    >>> are_far(4 * 128 * 64), are_far(4 * 512 * 256)
    (False, True)
    """
    return weight_bytes >= _FAR_BYTES


@dataclass(frozen=True)
class Ahead:
    """Fetches into L2 what lies behind a panel, the next one, while blocks multiply by this one.

    Each of its `steps` in each block of `height` rows fetches where the step before it did, or a
    bit further, a cache line at most: so that all blocks together fetch a panel. For 16 blocks by
    64 columns:

        prefetch(&weight[end + (block * steps + k) * 4])
    """

    weight: Any
    end: Any
    steps: int
    height: int
    stride: Any

    @staticmethod
    def of(weight: Any, end: Any, steps: int, size: int, rows: Any, height: int) -> Ahead:
        """Of a panel of `size` elements that ends before `end`, for blocks of `rows` in all."""
        line = _LINE_BYTES // np.dtype(str(weight.dtype)).itemsize
        # TVM's simplifier would divide by what may be zero, and take the maximum behind that.
        blocks = kept(tirx.max(rows // height, tirx.const(1, "int64")))
        stride = T.Bind(tirx.min(tirx.const(line, "int64"), size // steps // blocks + 1))
        return Ahead(weight, end, steps, height, stride)

    def fetch(self, row: Any, k: Any) -> None:
        """Emit the fetch of step k in the block that begins with `row`."""
        at = self.end + (row // self.height * self.steps + k) * self.stride
        prefetch(self.weight, at, _SECOND_NEAREST)


def pack_parts(
    weight: npt.NDArray[np.float32], cut: tuple[Panel, ...], config: PanelConfig
) -> npt.NDArray[np.float32]:
    """W [depth, columns] as one part behind the other, each as `pack_weight` has it."""
    steps = steps_a_part(weight.shape[0], config)
    begins = range(0, weight.shape[0], steps)
    return np.concatenate([pack_weight(weight[begin : begin + steps], cut) for begin in begins])
