"""`rtcompile tune`: from a model to records in its logs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rtcompile.codegen.program.trials import Task
from rtcompile.compile.compiler import Compiler
from rtcompile.errors import TuningError, UnsupportedError
from rtcompile.features.config.parse_config import load_config
from rtcompile.options import BuildOptions
from rtcompile.quantize.build import levels_of
from rtcompile.relay_passes.kernels.precision import FLOAT32, LayerPrecision, PrecisionPlan
from rtcompile.targets import CpuTarget, resolve_target, runs_here
from rtcompile.tuning.cost_model import CostModel
from rtcompile.tuning.local_runner import LocalRunner
from rtcompile.tuning.prepare import default_of, prepare
from rtcompile.tuning.remote_runner import RemoteRunner
from rtcompile.tuning.requests import Requests
from rtcompile.tuning.search import Search
from rtcompile.tuning.tiles import TileSearch, is_tile
from rtcompile.tuning.tuned.known_configs import Known
from rtcompile.tuning.tuned.logs import Logs, read_logs
from rtcompile.tuning.tuned.machine import Machine
from rtcompile.tuning.tuned.records import Provenance

__all__ = ["Session", "TuneOptions", "model_tasks", "session"]


# Of each level, the forms that a layer may have. Of a static range only that there is one counts.
_PRECISIONS = {
    "float32": (FLOAT32,),
    "bf16": (LayerPrecision("bf16"),),
    "int8": (LayerPrecision("int8"), LayerPrecision("int8", 1.0, 128)),
}


@dataclass(frozen=True)
class TuneOptions:
    """What `rtcompile tune` can be told.

    `trials`: measurements of its kernels in all, those that the logs hold included; the few of
    whole tiles come on top.
    `quantize`, `embedding_dtype`: as of the builds that will use the records. `tuning_logs`: the
    folder of the records. `tracker`, `key`: of workers on another machine.
    """

    tuning_logs: Path
    features: Path | None = None
    embeddings: Path | None = None
    target: str = "host"
    quantize: str = "none"
    embedding_dtype: str = "fp32"
    trials: int = 500
    tracker: str | None = None
    key: str | None = None

    def build_options(self) -> BuildOptions:
        """Of a build that uses the records."""
        return BuildOptions(
            self.features,
            self.target,
            self.embeddings,
            embedding_dtype=self.embedding_dtype,
            quantize=self.quantize,
            tuning_logs=self.tuning_logs,
        )


@dataclass(frozen=True)
class Session:
    """A search that is ready to run, its runner and machine, and what was left out of the logs.

    `tasks`: kernels of the model, with its calls of each. `tiles` is for when `search` is done.
    """

    tasks: dict[Task, int]
    search: Search
    tiles: TileSearch
    runner: LocalRunner | RemoteRunner
    machine: Machine
    cost_model: CostModel
    target: CpuTarget
    logs: Logs


def model_tasks(model: Path, options: TuneOptions) -> dict[Task, int]:
    """The tasks of a model, and how many calls it has of each. Raises as a build does.

    In lower precision, those of all layers at each level that a build may choose; of a model that
    comes quantized, those of its own levels too. The rows of a tile: in the model's own precision.
    """
    build = options.build_options()
    plan = load_config(options.features) if options.features else None
    target = resolve_target(options.target)
    levels = levels_of(build, target)
    compiler = Compiler(model, plan, build, target, lambda step: None)
    found: dict[Task, int] = {}
    for level in reversed(levels):
        for precision in _PRECISIONS[level]:
            layers = dict.fromkeys(compiler.layers, precision)
            for task, calls in compiler.tasks(PrecisionPlan(layers)).items():
                if not is_tile(task):
                    found[task] = max(calls, found.get(task, 0))
    for task, calls in compiler.tasks().items():
        if compiler.imported or is_tile(task):
            found.setdefault(task, calls)
    return found


@contextlib.contextmanager
def session(model: Path, options: TuneOptions) -> Iterator[Session]:
    """Everything that tuning a model needs. Raises TuningError, UnsupportedError, or as a build."""
    cost_model = CostModel()
    if (options.tracker is None) != (options.key is None):
        raise TuningError("a tracker needs a key, and a key a tracker")
    target = resolve_target(options.target)
    if options.tracker is None and not runs_here(target):
        raise UnsupportedError(
            f"this machine cannot run {target.name}: run `rtcompile worker` on one that can, and "
            "give its --tracker and --key here"
        )
    found = model_tasks(model, options)
    tasks = {task: calls for task, calls in found.items() if not is_tile(task)}
    logs = read_logs(options.tuning_logs, target.name)
    with _runner(target, options) as runner:
        machine = runner.machine()
        provenance = Provenance.of(machine)
        here = [r for r in logs.records if r.provenance.same_machine(provenance)]
        known = Known(here, target.registers)
        directory = options.tuning_logs
        search = Search(tasks, known, target, directory, provenance, options.trials)
        tiles = TileSearch(
            list(filter(is_tile, found)),
            known,
            target,
            directory,
            provenance,
            partial(_compiler, model, options, target),
            Requests(model, options.features),
        )
        yield Session(tasks, search, tiles, runner, machine, cost_model, target, logs)


def _compiler(model: Path, options: TuneOptions, target: CpuTarget) -> Compiler:
    """Of builds with the best kernels that the logs have by now."""
    plan = load_config(options.features) if options.features else None
    logs = read_logs(options.tuning_logs, target.name)
    return Compiler(model, plan, options.build_options(), target, lambda step: None, logs)


def _runner(target: CpuTarget, options: TuneOptions) -> LocalRunner | RemoteRunner:
    if options.tracker is not None and options.key is not None:
        return RemoteRunner(prepare, target.name, options.tracker, options.key, default_of)
    return LocalRunner(target.name)
