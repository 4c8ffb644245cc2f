from __future__ import annotations

from typing import Any

import pytest
import tvm
from tvm import relax, tirx

from rtcompile.relay_passes.exact.exact_legalize import EXACT_LEGALIZATIONS

_N = tirx.Var("n", "int64")


def _takes(shape: tuple[Any, ...], ids: tuple[Any, ...], axis: int) -> tvm.IRModule:
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType(shape, "float32"))
    at = relax.Var("ids", relax.TensorType(ids, "int64"))
    with builder.function("main", [x, at]):
        with builder.dataflow():
            taken = builder.emit_output(builder.emit(relax.op.take(x, at, axis)))
        builder.emit_func_output(taken)
    return builder.get()


@pytest.mark.parametrize(
    ("shape", "ids", "axis"),
    [((4, 3), (_N, 2), 1), ((4, 3), (), 0), ((_N, 3, 5), (2,), -1), ((_N,), (7, 2), 0)],
)
def test_take_has_the_code_of_tvm_without_its_warning(
    shape: tuple[Any, ...], ids: tuple[Any, ...], axis: int, capfd: pytest.CaptureFixture[str]
) -> None:
    before = _takes(shape, ids, axis)
    after = relax.transform.LegalizeOps(EXACT_LEGALIZATIONS)(before)
    assert capfd.readouterr().err == ""
    tvm.ir.assert_structural_equal(after, relax.transform.LegalizeOps()(before))
