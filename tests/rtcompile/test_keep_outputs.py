"""Outputs that no one asked for are not computed, nor is anything that only they needed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper

import rtcompile
from rtcompile import runtime
from rtcompile.cli import main
from rtcompile.errors import BindingError, ConfigError
from rtcompile.frontends.onnx.rewrite.keep_outputs import LeftOut, keep_outputs
from tests.onnx_models import save
from tests.ranking_model import FEATURES, RankingModel, ranking_model

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
TASKS, EXPERTS, WIDTH = ("click", "cart", "buy"), 3, 16
ROWS = 10


def _dense(nodes: list[Any], constants: dict[str, Any], source: str, name: str, **to: Any) -> str:
    """name = source @ W: [n, inputs] -> [n, outputs]."""
    rng = np.random.default_rng(len(constants))
    shape = (to["inputs"], to["outputs"])
    constants[f"{name}_w"] = rng.normal(size=shape).astype(np.float32) / 4
    nodes.append(helper.make_node("MatMul", [source, f"{name}_w"], [name]))
    return name


def _weighted(nodes: list[Any], constants: dict[str, Any], task: str) -> str:
    """The sum of the experts, each weighted by the task's gate: [n, WIDTH]."""
    gate = _dense(nodes, constants, "x", f"{task}_gate", inputs=WIDTH, outputs=EXPERTS)
    nodes += [
        helper.make_node("Softmax", [gate], [f"{task}_shares"], axis=-1),
        helper.make_node("Unsqueeze", [f"{task}_shares", "one"], [f"{task}_column"]),
        helper.make_node("Mul", [f"{task}_column", "experts"], [f"{task}_parts"]),
        helper.make_node("ReduceSum", [f"{task}_parts", "one"], [f"{task}_mix"], keepdims=0),
    ]
    return f"{task}_mix"


def multi_task_model(path: Path) -> Path:
    """Shared experts, a gate and a tower a task. `buy` alone reads `own`, ids of a table of its
    own; inputs: shared ids and own ids, int64 [n]."""
    rng = np.random.default_rng(0)
    constants: dict[str, Any] = {
        "shared_table": rng.normal(size=(ROWS, WIDTH)).astype(np.float32),
        "own_table": rng.normal(size=(ROWS, WIDTH)).astype(np.float32),
        "one": np.array([1], np.int64),
    }
    constants["two"] = np.array([2], np.int64)
    nodes = [helper.make_node("Gather", ["shared_table", "shared"], ["x"], axis=0)]
    for e in range(EXPERTS):
        raw = _dense(nodes, constants, "x", f"expert_{e}", inputs=WIDTH, outputs=WIDTH)
        nodes.append(helper.make_node("Relu", [raw], [f"relu_{e}"]))
        nodes.append(helper.make_node("Unsqueeze", [f"relu_{e}", "one"], [f"stacked_{e}"]))
    stack = [f"stacked_{e}" for e in range(EXPERTS)]
    nodes.append(helper.make_node("Concat", stack, ["experts"], axis=1))
    nodes.append(helper.make_node("Gather", ["own_table", "own"], ["mine"], axis=0))
    for task in TASKS:
        mixed = _weighted(nodes, constants, task)
        if task == "buy":
            nodes.append(helper.make_node("Concat", [mixed, "mine"], ["buy_input"], axis=1))
            mixed = "buy_input"
        width = 2 * WIDTH if task == "buy" else WIDTH
        logit = _dense(nodes, constants, mixed, f"{task}_tower", inputs=width, outputs=1)
        nodes.append(helper.make_node("Sigmoid", [logit], [task]))
    for node in nodes:  # gates are [n, EXPERTS, 1]
        if node.op_type == "Unsqueeze" and node.input[0].endswith("_shares"):
            node.input[1] = "two"
    inputs = {"shared": (INT64, ["n"]), "own": (INT64, ["n"])}
    outputs = {task: (FLOAT, ["n", 1]) for task in TASKS}
    return save(path, nodes, constants, inputs, outputs)


@pytest.fixture(scope="module")
def multi_task(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return multi_task_model(tmp_path_factory.mktemp("tasks") / "tasks.onnx")


def _build(model: Path, output: Path, **options: Any) -> Any:
    return rtcompile.build(model, rtcompile.BuildOptions(**options), output=output)


def test_what_only_others_need_is_gone(multi_task: Path, tmp_path: Path) -> None:
    whole = _build(multi_task, tmp_path / "whole.rtc").manifest
    result = _build(multi_task, tmp_path / "click.rtc", outputs=("click",))
    part = result.manifest
    assert [port["name"] for port in part["stages"]["cross"]["outputs"]] == ["click"]
    assert [port["name"] for port in part["stages"]["cross"]["inputs"]] == ["shared"]
    assert {t["name"] for t in whole["tables"]} == {"shared_table", "own_table"}
    assert {t["name"] for t in part["tables"]} == {"shared_table"}
    assert part["left_out"]["outputs"] == ("cart", "buy")
    assert part["left_out"]["inputs"] == ("own",)
    assert part["left_out"]["operators"] == 7 + 9
    assert part["stages"]["cross"]["calls"] < whole["stages"]["cross"]["calls"]
    counts = {record.name: record.applied for record in result.report.passes}
    assert counts["keep_outputs"] == 16
    assert result.verification.largest_difference < 1e-5
    assert whole["left_out"] == {"outputs": (), "inputs": (), "operators": 0}


def test_kept_outputs_are_the_originals_in_its_order(multi_task: Path, tmp_path: Path) -> None:
    _build(multi_task, tmp_path / "two.rtc", outputs=("buy", "click"))
    rng = np.random.default_rng(1)
    inputs = {name: rng.integers(0, ROWS, 70) for name in ("shared", "own")}
    got = runtime.load(tmp_path / "two.rtc").predict(inputs)
    want = onnxruntime.InferenceSession(str(multi_task)).run(["click", "buy"], inputs)
    assert list(got) == ["click", "buy"]
    for name, values in zip(got, want, strict=True):
        np.testing.assert_allclose(got[name], values, atol=1e-6)


def test_all_outputs_named_leave_the_graph_as_it_is(multi_task: Path) -> None:
    model = onnx.load(multi_task)
    for names in ((), TASKS, TASKS[::-1]):
        kept, left = keep_outputs(model, names)
        assert kept is model
        assert left == LeftOut()
    once, _ = keep_outputs(model, ["cart"])
    assert keep_outputs(once, ["cart"])[0] is once


def test_an_input_that_nothing_read_stays(tmp_path: Path) -> None:
    nodes = [helper.make_node("Relu", ["x"], ["a"]), helper.make_node("Relu", ["y"], ["b"])]
    ports = {name: (FLOAT, ["n", 2]) for name in ("x", "y", "idle")}
    model = onnx.load(save(tmp_path / "m.onnx", nodes, {}, ports, dict.fromkeys("ab", ports["x"])))
    kept, left = keep_outputs(model, ["a"])
    assert [value.name for value in kept.graph.input] == ["x", "idle"]
    assert left == LeftOut(("b",), ("y",), 1)


@pytest.mark.parametrize(
    ("name", "message"),
    [("clck", "did you mean 'click'?"), ("zzz", "the graph has click, cart, buy")],
)
def test_an_unknown_output_is_named(
    multi_task: Path, tmp_path: Path, name: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=f"outputs '{name}': no output of the graph") as caught:
        _build(multi_task, tmp_path / "out.rtc", outputs=(name, "buy"))
    assert message in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def ranking(tmp_path_factory: pytest.TempPathFactory) -> RankingModel:
    """The ranking model, and a second output that reads the item's numbers alone."""
    made = ranking_model(tmp_path_factory.mktemp("ranking"))
    model = onnx.load(made.onnx)
    model.graph.node.append(helper.make_node("Sigmoid", ["size_flat"], ["bulk"]))
    model.graph.output.append(helper.make_tensor_value_info("bulk", FLOAT, ["n", 3]))
    onnx.save(model, made.onnx)
    return made


@pytest.mark.slow
def test_a_ranking_model_keeps_one_output(ranking: RankingModel, tmp_path: Path) -> None:
    path = tmp_path / "bulk.rtc"
    features = {"features": ranking.features, "embeddings": ranking.embeddings}
    manifest = _build(ranking.onnx, path, outputs=("bulk",), **features).manifest
    assert "user" not in manifest["stages"]
    assert manifest["tables"] == []
    assert "hist__tags" in manifest["left_out"]["inputs"]
    ranker = runtime.load(path)
    row = {"size": [1.0, 2.0, 3.0], "item_id": 1, "price": 1.0, "words": "red", "pair": [1, 2]}
    ranker.items.upsert([{**row, "scored": {"w": 1.0}}])
    user = dict.fromkeys(manifest["fields"]["user"])
    got = ranker.rank(user, [1], {"position": [1]})
    np.testing.assert_allclose(got["bulk"], 1 / (1 + np.exp(-np.array([[1, 2, 3]]))), atol=1e-6)
    # Every feature of the config is extracted all the same.
    assert "tags" in ranker.extract(user, [1], {"position": [1]})


def test_a_feature_of_no_input_is_still_refused(ranking: RankingModel, tmp_path: Path) -> None:
    config = tmp_path / "fg.json"
    extra = {**FEATURES[0], "feature_name": "extra"}
    config.write_text(json.dumps({"features": [*FEATURES, extra]}))
    given = {"features": config, "embeddings": ranking.embeddings}
    with pytest.raises(BindingError, match="no graph input is called 'extra'"):
        _build(ranking.onnx, tmp_path / "out.rtc", outputs=("bulk",), **given)


def test_the_command_line(multi_task: Path, tmp_path: Path) -> None:
    def run(*arguments: object) -> Any:
        return CliRunner().invoke(main, [str(argument) for argument in arguments])

    path, names = tmp_path / "out.rtc", ("--output-name", "click", "--output-name", "cart")
    built = run("build", multi_task, "-o", path, *names, "--explain")
    assert built.exit_code == 0, built.stderr
    for said in (built.stderr, run("inspect", path).stdout):
        assert "left out: outputs buy, and for them alone 9 operators, inputs own" in " ".join(
            said.split()
        )
    assert json.loads(run("inspect", path, "--json").stdout)["left_out"]["inputs"] == ["own"]
    wrong = run("build", multi_task, "-o", path, "--output-name", "bui")
    assert wrong.exit_code == 20
    assert "did you mean 'buy'?" in wrong.stderr
