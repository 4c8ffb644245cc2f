"""TVM's passes over the kernels of a CPU, from loops to what its code generator takes.

The default pipeline of TVM, in its order, without what only a GPU needs, and without these:

- storage is not shared by buffers: a panel's sums that lie where a wider panel's were are kept by
  LLVM in parts of its registers, and put together in every step of the inner loop;
- buffers are not cut to what is read and written of them: they have the size that they need, and
  to find that out takes longer than all other passes, for a solver is asked about each condition;
- conditions are not moved out of loops, which LLVM does;
- nothing is lowered from blocks: there are none (`generic.py` lowers those that TVM makes).

The machine code of kernels is the same to the byte but for the first; the default pipeline refuses
functions that call Python's, which are not compared
(`tests/rtcompile/codegen/library/test_tir_pipeline.py`).
"""

from __future__ import annotations

from typing import Any

import tvm
from tvm import s_tir, tirx
from tvm.s_tir.pipeline import finalize_device_passes, finalize_host_passes
from tvm.tirx.compilation_pipeline import register_tir_pipeline

__all__ = ["PIPELINE"]

PIPELINE = "rtcompile.cpu"
_INDEX_BITS = 32


def _passes() -> list[Any]:
    return [
        s_tir.transform.CanonicalizeLoop(),
        s_tir.transform.StmtSimplify(),
        s_tir.transform.AnnotateIrregularLoop(),
        s_tir.transform.LowerOpaqueBlock(),  # loops of one round are none
        tirx.transform.FlattenBuffer(),
        tirx.transform.BF16ComputeLegalize(),
        tirx.transform.NarrowDataType(_INDEX_BITS),
        s_tir.transform.LoopPartition(),
        tirx.transform.VectorizeLoop(True),
        tirx.transform.UnrollLoop(),
        s_tir.transform.RenormalizeSplitPattern(),
        tirx.transform.StmtSimplify(),
        tirx.transform.RemoveNoOp(),
        s_tir.transform.RewriteUnsafeSelect(),
        tirx.transform.CommonSubexprElim(),
        tirx.transform.VerifyMemory(),
        tirx.transform.AnnotateEntryFunc(),
        tirx.transform.SplitHostDevice(),
        tirx.transform.MakePackedAPI(),
        tirx.transform.BF16StorageLegalize(),
    ]


def _pipeline() -> tuple[Any, Any, Any]:
    """What `tvm.compile` asks for by name: the passes, and those of each device behind them."""
    return tvm.ir.transform.Sequential(_passes()), finalize_host_passes, finalize_device_passes


register_tir_pipeline(PIPELINE, _pipeline)
