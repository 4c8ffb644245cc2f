"""Every workload, by name."""

from __future__ import annotations

from collections.abc import Callable

from models.workloads.dcnv2 import dcnv2
from models.workloads.design import Design
from models.workloads.din import din
from models.workloads.dlrm import dlrm
from models.workloads.dssm import dssm
from models.workloads.ep1 import ep1
from models.workloads.ep2 import ep2
from models.workloads.mmoe import mmoe
from models.workloads.recom import recom
from models.workloads.scale import Scale

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
