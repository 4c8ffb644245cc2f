"""The graph pipeline: what happens to a network, in order.

Phase 1, simplify: straight-line graph, constants folded, nothing dead, nothing twice.
Phase 2, stage: operators that straddle binding times are split, and the graph is cut by them.
Phase 3, lift, stage by stage: what has a template leaves the graph as a named call.
Phase 4, kernels, stage by stage: dense layers take the precision that they are given, the rest is
legalised to TIR and fused.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

import tvm
from tvm import relax
from tvm.ir import IRModule

from rtcompile.relay_passes.exact.check_divisors import check_divisors
from rtcompile.relay_passes.exact.check_indices import check_indices
from rtcompile.relay_passes.exact.check_row_independence import check_row_independence
from rtcompile.relay_passes.exact.exact_legalize import EXACT_LEGALIZATIONS
from rtcompile.relay_passes.exact.fold_checks import fold_checks
from rtcompile.relay_passes.exact.widen_halves import widen_halves
from rtcompile.relay_passes.kernels.fuse_dense import fuse_dense
from rtcompile.relay_passes.kernels.fuse_outer_products import fuse_outer_products
from rtcompile.relay_passes.kernels.gather_blocks import gather_blocks
from rtcompile.relay_passes.kernels.keep_lowered import keep_lowered
from rtcompile.relay_passes.kernels.lift_products import lift_products
from rtcompile.relay_passes.kernels.precision import PrecisionPlan
from rtcompile.relay_passes.kernels.quantize_dense import quantize_dense
from rtcompile.relay_passes.kernels.trim_sequences import trim_sequences
from rtcompile.relay_passes.lift.lift_batch_matmuls import lift_batch_matmuls
from rtcompile.relay_passes.lift.lift_embeddings import lift_embeddings
from rtcompile.relay_passes.lift.lift_shared_matmuls import lift_shared_matmuls
from rtcompile.relay_passes.lift.lift_softmax import lift_softmax
from rtcompile.relay_passes.report import PassReport, Report
from rtcompile.relay_passes.simplify.constant_folding import fold_constants
from rtcompile.relay_passes.simplify.drop_expansions import drop_expansions
from rtcompile.relay_passes.simplify.fold_affines import fold_affines
from rtcompile.relay_passes.simplify.lower_unit_axes import lower_unit_axes
from rtcompile.relay_passes.simplify.matvec_to_matmul import matvec_to_matmul
from rtcompile.relay_passes.simplify.pointwise_conv_to_matmul import pointwise_conv_to_matmul
from rtcompile.relay_passes.simplify.scale_factors import scale_factors
from rtcompile.relay_passes.simplify.share_values import share_values
from rtcompile.relay_passes.simplify.sink_permutes import sink_permutes
from rtcompile.relay_passes.simplify.slice_picks import slice_picks
from rtcompile.relay_passes.simplify.view_reshapes import view_reshapes
from rtcompile.relay_passes.stage.split_products import split_products
from rtcompile.relay_passes.stage.split_stages import StageGraph, split_stages
from rtcompile.relay_passes.stage.split_sums import split_sums

__all__ = [
    "KERNELS",
    "KERNELS_APART",
    "LIFT",
    "LIFT_APART",
    "SIMPLIFY",
    "STAGE",
    "TRIM",
    "lift",
    "simplify",
    "to_kernels",
    "to_stages",
]

GraphPass = Callable[[IRModule, PassReport], IRModule]


def canonicalize(mod: IRModule, report: PassReport) -> IRModule:
    """Upstream's clean-up passes, until the graph is in A-normal form without dead code.

    Not the one that shares equal values: it takes longer than all others, and `share_values` runs
    it where it finds most.
    """
    mod = fold_constants(relax.transform.DecomposeOpsForInference()(mod))
    return tvm.ir.transform.Sequential(
        [
            relax.transform.CanonicalizeBindings(),
            relax.transform.DeadCodeElimination(["main"]),
        ]
    )(mod)


def legalize(mod: IRModule, report: PassReport) -> IRModule:
    """What no kernel of ours covers becomes TIR, fused element-wise. A reshape stays a view."""
    return tvm.ir.transform.Sequential(
        [
            relax.transform.LegalizeOps(EXACT_LEGALIZATIONS, skip_ops=["relax.reshape"]),
            relax.transform.AnnotateTIROpPattern(),
            relax.transform.FuseOps(),
            relax.transform.FuseTIR(),
            relax.transform.DeadCodeElimination(["main"]),
        ]
    )(mod)


def legalize_apart(mod: IRModule, report: PassReport) -> IRModule:
    """`legalize` with a kernel an operator: nothing is fused."""
    return tvm.ir.transform.Sequential(
        [
            relax.transform.LegalizeOps(EXACT_LEGALIZATIONS, skip_ops=["relax.reshape"]),
            relax.transform.DeadCodeElimination(["main"]),
        ]
    )(mod)


SIMPLIFY: tuple[GraphPass, ...] = (
    # While each call stands for one node of the file, by whose name it is refused.
    check_row_independence,
    # Before all that have templates, which are of float32.
    widen_halves,
    # Before constants are folded, which would legalise the look-ups and warn of each.
    lift_embeddings,
    # Before anything is folded: folding runs what it folds.
    check_indices,
    check_divisors,
    slice_picks,
    canonicalize,
    fold_checks,
    pointwise_conv_to_matmul,
    matvec_to_matmul,
    # Before the dense layers: a matmul must see through squeeze and expand_dims.
    view_reshapes,
    lower_unit_axes,
    sink_permutes,
    scale_factors,
    canonicalize,
    # Bounds that a Clip has only now.
    fold_checks,
    share_values,
    # Before products are split by stage, while each still stands next to what scales it.
    fold_affines,
    canonicalize,
)

STAGE: tuple[GraphPass, ...] = (
    # Before the products: an expanded operand would make an early value a late one.
    drop_expansions,
    split_products,
    split_sums,
    # What was split leaves dead code, and equal parts of different layers.
    canonicalize,
    share_values,
)

LIFT: tuple[GraphPass, ...] = (
    fuse_dense,
    fuse_outer_products,
    lift_shared_matmuls,
    lift_batch_matmuls,
    lift_softmax,
    gather_blocks,
)

# Behind the others: it moves whole layers, by the names that they have now.
TRIM: tuple[GraphPass, ...] = (trim_sequences,)

KERNELS: tuple[GraphPass, ...] = (legalize,)

# Instead of these, to measure what fusion gains: the same templates, each for one operator.
LIFT_APART: tuple[GraphPass, ...] = (
    lift_products,
    lift_batch_matmuls,
    lift_softmax,
    gather_blocks,
)

KERNELS_APART: tuple[GraphPass, ...] = (legalize_apart,)


def simplify(mod: IRModule, report: Report) -> IRModule:
    """Phase 1 over `mod`, whose `main` is the whole network."""
    return _run(SIMPLIFY, mod, report)


def to_stages(
    mod: IRModule, report: Report, without: Collection[str] = ()
) -> tuple[StageGraph, ...]:
    """Phases 2 and 3: the stages of a simplified network, what has a template lifted.

    The sides of its inputs are noted by `binding_times.with_sides`; without them there is one
    stage, cross. Without "fusion", each operator is a kernel of its own; without "trimming",
    padding is computed.
    """
    staged = split_stages(_run(STAGE, mod, report), report.start("split_stages"))
    return tuple(replace(s, module=lift(s.module, report, s.time.value, without)) for s in staged)


def lift(mod: IRModule, report: Report, stage: str = "", without: Collection[str] = ()) -> IRModule:
    """Phase 3 over `mod`, whose `main` is the network of one `stage`."""
    lifted = _run(LIFT_APART if "fusion" in without else LIFT, mod, report, stage)
    return lifted if "trimming" in without else _run(TRIM, lifted, report, stage)


def to_kernels(
    mod: IRModule,
    report: Report,
    stage: str = "",
    fusion: bool = True,
    precision: PrecisionPlan | None = None,
) -> IRModule:
    """Phase 4 over a `stage` as `to_stages` leaves it: its layers' precision, then TIR."""
    if precision is not None:
        mod = quantize_dense(mod, report.start("quantize_dense", stage), precision)
        mod = keep_lowered(mod, report.start("keep_lowered", stage))
    return _run(KERNELS if fusion else KERNELS_APART, mod, report, stage)


def _run(passes: tuple[GraphPass, ...], mod: IRModule, report: Report, stage: str = "") -> IRModule:
    for graph_pass in passes:
        mod = graph_pass(mod, report.start(graph_pass.__name__, stage))
    return mod
