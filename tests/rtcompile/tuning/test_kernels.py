"""Every kernel of the registry: its configs, and that all forms of it give the right values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tvm_ffi

from rtcompile.codegen.kernels.dense import default_dense
from rtcompile.codegen.kernels.k_blocks import are_far
from rtcompile.codegen.kernels.panels import panel_configs, panels
from rtcompile.codegen.program.trials import Task, Trial
from rtcompile.targets import TARGETS, CpuTarget, resolve_target
from rtcompile.tuning.local_runner import aligned_copy
from rtcompile.tuning.measurable import Measurable, differences
from rtcompile.tuning.prepare import prepare
from rtcompile.tuning.tuned.kernels import KERNELS

_EPILOGUE = "add acc each:0; multiply s0 row:1; sigmoid s1; multiply s2 value:2; maximum s3 -0.5"
_TILE, _ROW = {"least": 1, "most": 37}, {"least": 1, "most": 1}
_TASKS = [
    *(
        Task.of(kernel, 1, {"depth": 19, "columns": columns, "epilogue": epilogue, **rows})
        for kernel, columns, epilogue, rows in (
            ("dense", 36, "", _TILE),
            ("dense", 7, _EPILOGUE, _TILE),
            ("dense", 36, "", _ROW),
            ("narrow_dense", 3, _EPILOGUE, _TILE),
            ("narrow_dense", 1, "", _ROW),
        )
    ),
    *(
        Task.of(
            kernel,
            1,
            {"depth": 19, "columns": 36, "epilogue": epilogue, "output": output, **rows, **more},
        )
        for kernel, output, epilogue, rows, more in (
            ("dense_int8", "float32", _EPILOGUE, _TILE, {"dynamic": 1}),
            ("dense_int8", "uint8", "maximum acc 0.0", _TILE, {"dynamic": 0}),
            ("dense_int8", "float32", "", _ROW, {"dynamic": 0}),
            ("dense_bf16", "float32", _EPILOGUE, _ROW, {}),
            ("dense_bf16", "uint16", "maximum acc 0.0", _TILE, {}),
        )
    ),
    *(
        Task.of(
            "batch_matmul",
            1,
            {"rows": 9, "depth": 5, "columns": 21, "transposed": t, "least": 1, "most": 6},
        )
        for t in (0, 1)
    ),
    *(
        Task.of(
            "outer_dense",
            1,
            {
                **{"left": 5, "right": 5, "columns": 20, "epilogue": "tanh acc"},
                **{"symmetric": s, "least": 2, "most": 20},
            },
        )
        for s in (0, 1)
    ),
]
# Depths that are taken in two and in three parts, with panels that are padded.
_TASKS += [
    Task.of("dense", 1, {"depth": d, "columns": c, "epilogue": e, "least": 1, "most": 70})
    for d, c, e in ((1030, 67, "maximum acc 0.0"), (1540, 36, ""))
]
_TASKS += [
    Task.of(
        "embedding_lookup",
        1,
        {"dtype": dtype, "dimension": 20, "ids": ids, "width": width, "far": far, **_TILE},
    )
    for dtype, ids, width, far in (("fp32", "int64", 1, 1), ("int8", "float32", 3, 0))
]
_EVERY_TASK = pytest.mark.parametrize("task", _TASKS, ids=lambda t: f"{t.kernel}-{t.parameters}")


def _wrong(measurable: Measurable, path: Path) -> list[str]:
    path.write_bytes(measurable.library)
    arrays = []
    for argument in measurable.arguments:
        assert isinstance(argument, np.ndarray)
        arrays.append(aligned_copy(argument))
    tvm_ffi.load_module(str(path))[measurable.function](*map(tvm_ffi.from_dlpack, arrays))
    return [differences(measurable, place, arrays[place]) for place in measurable.expected]


@pytest.mark.slow
@_EVERY_TASK
def test_all_forms_give_the_right_values(
    task: Task, tmp_path_factory: pytest.TempPathFactory
) -> None:
    configs = KERNELS[task.kernel].configs(task, resolve_target("host").registers)
    if not configs:
        pytest.skip("the host has no instruction for it")
    # Each value of each parameter: all pairs of them would take minutes.
    chosen = {
        (name, value): config for config in reversed(configs) for name, value in config.items()
    }
    for config in {tuple(c.items()): c for c in (configs[0], *chosen.values())}.values():
        path = tmp_path_factory.mktemp("trial") / "trial.so"
        assert _wrong(prepare(Trial.of(task, config), "host"), path) == [""], config


@_EVERY_TASK
@pytest.mark.parametrize("target", TARGETS.values(), ids=lambda target: target.name)
def test_the_default_is_among_the_configs(task: Task, target: CpuTarget) -> None:
    configs = KERNELS[task.kernel].configs(task, target.registers)
    if not configs:
        return
    keys = [tuple(config.items()) for config in configs]
    assert len(set(keys)) == len(keys)
    if "width" in configs[0]:
        default = panel_configs(target.registers, 1, 1)[0]
        if task.kernel == "dense":
            depth, columns, most = (int(task.values[n]) for n in ("depth", "columns", "most"))
            default = default_dense(target.registers, most, are_far(4 * depth * columns))
        assert configs[0] == default.as_dict()


@pytest.mark.parametrize("target", TARGETS.values(), ids=lambda target: target.name)
@pytest.mark.parametrize("columns", [1, 8, 100, 700])
def test_panels_of_every_config_cover_the_columns(target: CpuTarget, columns: int) -> None:
    for config in panel_configs(target.registers, columns, 64):
        cut = panels(columns, target.registers, config)
        covered = [c for panel in cut for c in range(panel.start, panel.start + panel.valid)]
        assert covered == list(range(columns))
        assert all(1 <= panel.rows <= target.registers.block_rows(panel.width) for panel in cut)
