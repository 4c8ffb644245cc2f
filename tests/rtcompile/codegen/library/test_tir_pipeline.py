"""The passes that are left out change nothing but the time of a build."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tvm

import rtcompile
from rtcompile.codegen.library import compile_units
from rtcompile.codegen.library.tir_pipeline import PIPELINE
from rtcompile.runtime.abi.serve import SERVE
from rtcompile.runtime.abi.value_bytes import WRITE
from tests.onnx_models import two_input_model
from tests.ranking_model import small_ranking_model


def _build(with_features: bool, folder: Path) -> None:
    if not with_features:
        rtcompile.build(two_input_model(folder / "m.onnx"), output=folder / "m.rtc")
        return
    model = small_ranking_model(folder, "user_id", "tags", "item_id", "price")
    options = rtcompile.BuildOptions(features=model.features, embeddings=model.embeddings)
    rtcompile.build(model.onnx, options, output=folder / "m.rtc")


@pytest.mark.slow
@pytest.mark.parametrize("with_features", [False, True])
def test_the_machine_code_is_that_of_the_default_pipeline(
    with_features: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, str]] = []

    def both(module: Any, target: Any) -> Any:
        ours = tvm.compile(module, target=target.tvm_target(), tir_pipeline=PIPELINE).mod
        names = {global_var.name_hint for global_var in module.functions}
        # The default one moves the size of a buffer, the writer's stack, to where it is not known.
        if not names & {WRITE, SERVE}:
            with tvm.ir.transform.PassContext(config={"tirx.disable_storage_rewrite": True}):
                default = tvm.compile(module, target=target.tvm_target()).mod
            seen.append((default.inspect_source("asm"), ours.inspect_source("asm")))
        return ours

    monkeypatch.setattr(compile_units, "compile_module", both)
    monkeypatch.setattr(compile_units, "_compiled", compile_units._Compiled())
    _build(with_features, tmp_path)
    assert len(seen) > 1
    for default, ours in seen:
        assert ours == default
