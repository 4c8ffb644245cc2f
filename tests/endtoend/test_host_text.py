"""Texts, custom operators and their files inside an artifact."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

import rtcompile
import rtcompile.features
from rtcompile import runtime
from tests.onnx_models import save

SOURCE = r"""
#include "rtcompile_operator.h"
int64_t Sizes(const rtcompile_text *in, int64_t n, const char *parameters, double *out,
              int64_t capacity) {
  *out = (double)(in[0].size * 100 + in[1].size);
  return 1;
}
"""

FEATURES: list[dict[str, Any]] = [
    {
        "feature_type": "text_normalizer",
        "feature_name": "title__norm",
        "expression": "item:title",
        "parameter": 4,
        "stub_type": True,
    },
    {
        "feature_type": "tokenize_feature",
        "feature_name": "title",
        "expression": "feature:title__norm",
        "vocab_file": "words.json",
        "default_value": "zero",
    },
    {
        "feature_type": "custom_feature",
        "feature_name": "distance",
        "operator_name": "EditDistance",
        "encoding": "utf-8",
        "expression": ["user:query", "feature:title__norm"],
        "default_value": "9",
    },
    {
        "feature_type": "custom_feature",
        "feature_name": "sizes",
        "operator_name": "Sizes",
        "operator_lib_file": "sizes.so",
        "expression": ["user:query", "item:title"],
    },
]


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tokenizers = pytest.importorskip("tokenizers")
    folder = tmp_path_factory.mktemp("host_text")
    words = tokenizers.models.WordLevel({"zero": 0, "red": 1, "shoe": 2, "?": 3}, unk_token="?")
    model = tokenizers.Tokenizer(words)
    model.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    model.save(str(folder / "words.json"))
    (folder / "sizes.c").write_text(SOURCE)
    header = Path(rtcompile.features.__file__).parent
    command = ["gcc", "-shared", "-fPIC", f"-I{header}", "-o", "sizes.so", "sizes.c"]
    subprocess.run(command, cwd=folder, check=True)
    (folder / "fg.json").write_text(json.dumps({"features": FEATURES}))
    inputs = {
        "title": (TensorProto.FLOAT, ["n", 2]),
        "distance": (TensorProto.FLOAT, ["n", 1]),
        "sizes": (TensorProto.FLOAT, ["n", 1]),
    }
    nodes = [
        helper.make_node("Concat", ["title", "distance", "sizes"], ["x"], axis=1),
        helper.make_node("MatMul", ["x", "w"], ["y"]),
    ]
    constants = {
        "title_table": np.array([[0, 0], [1, 0], [0, 1], [5, 5]], np.float32),
        "w": np.eye(4, dtype=np.float32),
    }
    FEATURES[1]["embedding_name"] = "title_table"
    (folder / "fg.json").write_text(json.dumps({"features": FEATURES}))
    constants["unused"] = constants["title_table"]
    path = save(folder / "m.onnx", nodes, constants, inputs, {"y": (TensorProto.FLOAT, ["n", 4])})
    options = rtcompile.BuildOptions(features=folder / "fg.json")
    rtcompile.build(path, options, output=folder / "m.rtc")
    return folder / "m.rtc"


ITEMS = {"item_id": ["a", "b", "c"], "title": ["Red SHOE", "blue", None]}
WANTED = [[1, 1, 4, 408], [5, 5, 3, 404], [0, 0, 9, 400]]


def test_an_artifact_brings_its_files(artifact: Path) -> None:
    ranker = runtime.load(artifact)
    ranker.items.upsert(ITEMS)
    scores = ranker.rank({"query": "shoe"}, ["a", "b", "c"])["y"]
    np.testing.assert_array_equal(scores, np.array(WANTED, np.float32))
    columns = ranker.extract({"query": "shoe"}, ["c", "a"])
    assert columns["title"].values.tolist() == [0, 1, 2]
    assert columns["distance"].values.tolist() == [[9.0], [4.0]]


@pytest.mark.slow
def test_without_the_library_loading_says_so(artifact: Path) -> None:
    code = (
        "import sys; sys.modules['tokenizers'] = None; from rtcompile import runtime\n"
        "try: runtime.load(sys.argv[1])\n"
        "except runtime.ArtifactError as error: print(error)"
    )
    command = [sys.executable, "-c", code, str(artifact)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "tokenizers is needed to process text" in result.stdout
    assert "pip install 'rtcompile[text]'" in result.stdout
