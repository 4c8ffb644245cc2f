"""The graph pipeline: what happens to the network of a stage, in order.

Phase 1, canonical: straight-line graph, constants folded, nothing dead, nothing twice.
Phase 2, kernels of our own: look-ups and dense layers leave the graph as named calls.
Phase 3, generic kernels: the rest is legalised to TIR and fused.
"""

from __future__ import annotations

from collections.abc import Callable

import tvm
from tvm import relax
from tvm.ir import IRModule

from relay_passes.check_row_independence import check_row_independence
from relay_passes.einsum_to_matmul import einsum_to_matmul
from relay_passes.fuse_dense import fuse_dense
from relay_passes.lift_concats import lift_concats
from relay_passes.lift_embeddings import lift_embeddings
from relay_passes.pointwise_conv_to_matmul import pointwise_conv_to_matmul
from relay_passes.report import PassReport, Report
from relay_passes.resolve_squeeze import resolve_squeeze
from relay_passes.view_reshapes import view_reshapes

__all__ = ["PASSES", "optimize"]

GraphPass = Callable[[IRModule, PassReport], IRModule]


def canonicalize(mod: IRModule, report: PassReport) -> IRModule:
    """Upstream's clean-up passes, until the graph is in A-normal form without dead code."""
    return tvm.ir.transform.Sequential(
        [
            relax.transform.DecomposeOpsForInference(),
            relax.transform.FoldConstant(),
            relax.transform.CanonicalizeBindings(),
            relax.transform.EliminateCommonSubexpr(),
            relax.transform.FoldConstant(),
            relax.transform.DeadCodeElimination(["main"]),
        ]
    )(mod)


def legalize(mod: IRModule, report: PassReport) -> IRModule:
    """What no kernel of ours covers becomes TIR, fused element-wise. A reshape stays a view."""
    return tvm.ir.transform.Sequential(
        [
            relax.transform.LegalizeOps(skip_ops=["relax.reshape"]),
            relax.transform.AnnotateTIROpPattern(),
            relax.transform.FuseOps(),
            relax.transform.FuseTIR(),
            relax.transform.DeadCodeElimination(["main"]),
        ]
    )(mod)


PASSES: tuple[GraphPass, ...] = (
    # First: constant folding would legalise the look-ups, at the price of a warning each.
    lift_embeddings,
    # Before anything that asks for shapes.
    resolve_squeeze,
    canonicalize,
    check_row_independence,
    einsum_to_matmul,
    pointwise_conv_to_matmul,
    # Before the dense layers: a matmul must see through squeeze and expand_dims.
    view_reshapes,
    fuse_dense,
    lift_concats,
    legalize,
)


def optimize(mod: IRModule, report: Report) -> IRModule:
    """Run every pass over `mod`, whose `main` is the network of one stage."""
    for graph_pass in PASSES:
        mod = graph_pass(mod, report.start(graph_pass.__name__))
    return mod
