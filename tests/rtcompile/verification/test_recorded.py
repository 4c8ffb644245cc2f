"""What an artifact carries to be verified by, and `rtcompile verify` without rows."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import rtcompile
import rtcompile.runtime.machine
from rtcompile import runtime
from rtcompile.cli import main
from rtcompile.compile.write_artifact import write_artifact
from rtcompile.errors import DataError, VerificationError
from rtcompile.runtime.artifact import VERIFICATION, read_artifact, read_section
from rtcompile.targets import TARGETS, runs_here
from rtcompile.verification.recorded import Answer, Case, pack_cases, unpack_cases
from rtcompile.verification.replay_recorded import TargetCheck
from tests.onnx_models import two_input_model
from tests.ranking_model import small_ranking_model

VALUES = st.recursive(
    st.none()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
    | st.binary(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(fields=st.dictionaries(st.text(max_size=3), VALUES, max_size=4), rows=st.integers(0, 3))
def test_cases_are_read_as_they_were_packed(fields: dict[str, Any], rows: int) -> None:
    want = np.array([[np.nan, np.inf, -0.0]] * rows, np.float32).reshape(rows, 3)
    allowed = np.full(want.shape, np.inf, np.float32)
    inputs = {"ids": np.arange(rows), "X": want, "flag": np.ones(rows, bool)}
    case = Case(("NaN",) * rows, {"user": fields, "inputs": inputs}, {"Y": Answer(want, allowed)})
    packed = pack_cases([case])
    assert pack_cases([case]) == packed
    (found,) = unpack_cases(packed + bytes(100))
    assert found.kinds == case.kinds
    assert found.request["user"] == fields
    for name, array in inputs.items():
        np.testing.assert_array_equal(found.request["inputs"][name], array)
        assert found.request["inputs"][name].dtype == array.dtype
    np.testing.assert_array_equal(found.outputs["Y"].want, want)
    np.testing.assert_array_equal(found.outputs["Y"].allowed, allowed)


@pytest.mark.parametrize("data", [b"", b"nonsense", pack_cases([])[:-9]])
def test_what_is_no_section(data: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        unpack_cases(data)


def test_a_serving_machine_can_verify() -> None:
    code = "import rtcompile.verification.api, sys; print(' '.join(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"tvm", "onnx", "onnxruntime", "pyarrow", "click"}.intersection(run.stdout.split())


ABLE = [name for name, target in TARGETS.items() if runs_here(target)]
OTHERS = [name for name, target in TARGETS.items() if not runs_here(target)]


@pytest.mark.slow
def test_a_build_for_another_cpu_is_verified_where_it_runs(tmp_path: Path) -> None:
    other = next(name for name in OTHERS if name.startswith(("x86-64", "aarch64-generic")))
    if TARGETS[other].machine != TARGETS[ABLE[-1]].machine:
        pytest.skip("this machine runs every target of its kind, and a cross linker may lack")
    model, path = two_input_model(tmp_path / "m.onnx"), tmp_path / "m.rtc"
    options = rtcompile.BuildOptions(target=(ABLE[-1], other))
    result = rtcompile.build(model, options, output=path)
    assert result.unverified == (other,)
    assert result.verification is not None
    checks = rtcompile.verify(path)
    for check in checks:
        assert isinstance(check, TargetCheck)
        assert bool(check.lacks) == (check.target == other)
        assert (check.rows > 100) == (check.target != other)
    alone = rtcompile.build(model, rtcompile.BuildOptions(target=other), output=path)
    assert alone.verification is None
    assert alone.manifest["verification"]["verified"] is False
    with pytest.raises(runtime.TargetError, match=rf"nothing can be verified .*{other}"):
        rtcompile.verify(path)
    shown = CliRunner().invoke(main, ["build", str(model), "-o", str(path), "--target", other])
    assert f"run `rtcompile verify {path}` on the target" in " ".join(shown.output.split())
    assert (
        "not verified where it was built" in CliRunner().invoke(main, ["inspect", str(path)]).output
    )


@pytest.mark.slow
def test_what_is_carried_is_small_and_the_same_for_the_same_model(tmp_path: Path) -> None:
    model = two_input_model(tmp_path / "m.onnx")
    sections = []
    for name in ("a.rtc", "b.rtc"):
        result = rtcompile.build(model, output=tmp_path / name)
        sections.append(read_section(tmp_path / name, VERIFICATION))
    assert sections[0] == sections[1]
    assert 0 < result.manifest["verification"]["carried_bytes"] < 50_000
    result = rtcompile.build(model, rtcompile.BuildOptions(verify=False), output=tmp_path / "c.rtc")
    assert read_section(tmp_path / "c.rtc", VERIFICATION) is None
    with pytest.raises(DataError, match="built with --no-verify; give"):
        rtcompile.verify(tmp_path / "c.rtc")
    assert "--no-verify" in CliRunner().invoke(main, ["inspect", str(tmp_path / "c.rtc")]).output


def _with_constants(path: Path, change: Any) -> None:
    """Write an artifact again with other weights."""
    artifact = read_artifact(path)
    constants = np.array(artifact.constants)
    change(constants.view(np.float32))
    section = read_section(path, VERIFICATION)
    assert section is not None
    manifest = {k: v for k, v in artifact.manifest.items() if k not in ("sections", "file_bytes")}
    sections = {"module": artifact.module, "constants": constants.tobytes(), VERIFICATION: section}
    write_artifact(path, manifest, sections)


def _off_by_a_thousandth(weights: Any) -> None:
    weights[np.isfinite(weights)] *= np.float32(1.001)


@pytest.mark.slow
def test_other_weights_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "m.rtc"
    rtcompile.build(two_input_model(tmp_path / "m.onnx"), output=path)
    _with_constants(path, lambda weights: None)
    rtcompile.verify(path)
    _with_constants(path, _off_by_a_thousandth)
    with pytest.raises(VerificationError, match=r"output 'Y' is .* instead of"):
        rtcompile.verify(path)
    result = CliRunner().invoke(main, ["verify", str(path)])
    assert result.exit_code == 60


@pytest.mark.slow
def test_a_ranking_artifact(tmp_path: Path) -> None:
    model = small_ranking_model(tmp_path, "user_id", "tags", "item_id", "price", "position")
    path = tmp_path / "r.rtc"
    options = rtcompile.BuildOptions(features=model.features, embeddings=model.embeddings)
    rtcompile.build(model.onnx, options, output=path)
    result = CliRunner().invoke(main, ["verify", str(path), "--json"])
    assert result.exit_code == 0, result.output
    (said,) = json.loads(result.stdout)
    assert said["rows"] > 100
    assert said["largest_difference"] < 1e-5
    _with_constants(path, _off_by_a_thousandth)
    with pytest.raises(VerificationError):
        rtcompile.verify(path)
