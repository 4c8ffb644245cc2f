"""Every workload, by name."""

from __future__ import annotations

from collections.abc import Callable

from rtcompile.models.workloads.dcnv2 import dcnv2
from rtcompile.models.workloads.design import Design
from rtcompile.models.workloads.din import din
from rtcompile.models.workloads.dlrm import dlrm
from rtcompile.models.workloads.dssm import dssm
from rtcompile.models.workloads.ep1 import ep1
from rtcompile.models.workloads.ep2 import ep2
from rtcompile.models.workloads.mmoe import mmoe
from rtcompile.models.workloads.recom import recom
from rtcompile.models.workloads.scale import Scale

__all__ = ["WORKLOADS"]

# name -> (scale, seed) -> design
WORKLOADS: dict[str, Callable[[Scale, int], Design]] = {
    "ep1": ep1,
    "ep2": ep2,
    "recom": recom,
    "dlrm": dlrm,
    "dcnv2": dcnv2,
    "din": din,
    "mmoe": mmoe,
    "dssm": dssm,
}
