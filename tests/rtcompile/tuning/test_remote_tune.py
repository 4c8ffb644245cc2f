"""`rtcompile tune` through a tracker and workers, and its report; no time decides anything."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from rtcompile.cli import main
from rtcompile.codegen.program.tile_rows import TILE_SIZES
from rtcompile.targets import resolve_target
from rtcompile.tuning.tiles import is_tile
from rtcompile.tuning.tune import TuneOptions, session
from rtcompile.tuning.tuned.logs import read_logs
from tests.onnx_models import two_input_model
from tests.rtcompile.tuning.remote import KEY, fleet

pytest.importorskip("xgboost")
_HOST = resolve_target("host")


@pytest.mark.slow
def test_the_same_tasks_are_tuned_while_a_worker_dies(tmp_path: Path) -> None:
    model, logs, trials = two_input_model(tmp_path / "model.onnx"), tmp_path / "logs", 10
    with fleet(2) as (address, workers):
        options = TuneOptions(logs, trials=trials, tracker=address, key=KEY)
        with session(model, options) as ready:
            for count, _ in enumerate(ready.search.run(ready.runner, ready.cost_model), 1):
                if count == trials // 2:
                    workers[0].kill()
        found = read_logs(logs, _HOST.name)
        assert not found.notes()
        assert len(found.records) == len({record.trial for record in found.records}) == trials
        assert all(r.outcome.seconds and r.outcome.default_seconds for r in found.records)
        report = tmp_path / "report.html"
        command = ["tune", str(model), "--trials", str(trials), "--tuning-logs", str(logs)]
        command += ["--tracker", address, "--key", KEY, "--report", str(report)]
        again = CliRunner().invoke(main, command)
    assert again.exit_code == 0, again.output
    assert "0 trials spent" in " ".join(again.output.split())
    tiles = [r for r in read_logs(logs, _HOST.name).records if is_tile(r.trial.task)]
    assert {one.trial.values["rows"] for one in tiles} == set(TILE_SIZES)
    assert all(one.outcome.seconds and not one.outcome.error for one in tiles)
    page = report.read_text()
    assert f"workers of {address}" in page and "whole request" not in page


@pytest.mark.slow
def test_the_report_compares_the_whole_model(tmp_path: Path) -> None:
    model, logs = two_input_model(tmp_path / "model.onnx"), tmp_path / "logs"
    command = ["tune", str(model), "--trials", "4", "--tuning-logs", str(logs)]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.output
    page = (logs / f"model.{_HOST.name}.html").read_text()
    assert all(f"whole request, {label}" in page for label in ("1 row", "100 rows", "512 rows"))
