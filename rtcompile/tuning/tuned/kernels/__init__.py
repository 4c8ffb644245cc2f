"""The kernels that can be tuned, by the name that their tasks have.

To add one: a class as `conversion.py` says, and a line here; in the lowering, a task for each call
(`NetworkLowering._task`) and its config from the build's choices.
"""

from __future__ import annotations

from rtcompile.tuning.tuned.kernels.base import TunedKernel
from rtcompile.tuning.tuned.kernels.dense import Dense, NarrowDense
from rtcompile.tuning.tuned.kernels.generic import Generic
from rtcompile.tuning.tuned.kernels.lookup import EmbeddingLookup
from rtcompile.tuning.tuned.kernels.products import BatchMatmul, OuterDense
from rtcompile.tuning.tuned.kernels.quantized import DenseBf16, DenseInt8
from rtcompile.tuning.tuned.kernels.stage_tile import StageTile

__all__ = ["KERNELS"]

_ALL: tuple[TunedKernel, ...] = (
    Dense(),
    NarrowDense(),
    DenseInt8(),
    DenseBf16(),
    BatchMatmul(),
    OuterDense(),
    EmbeddingLookup(),
    Generic(),
    StageTile(),
)

KERNELS: dict[str, TunedKernel] = {kernel.name: kernel for kernel in _ALL}
