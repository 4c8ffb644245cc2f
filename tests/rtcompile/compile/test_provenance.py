"""What an artifact says of where it comes from: every byte that went in, and tags."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner, Result
from safetensors.numpy import load_file, save_file

import rtcompile
from rtcompile.cli import main
from rtcompile.compile.provenance import describe_provenance, note_files
from rtcompile.errors import ConfigError
from rtcompile.features.config.parse_config import load_config
from rtcompile.files.input_files import (
    InputFile,
    note_bytes,
    note_input,
    recorded,
)
from rtcompile.frontends.onnx.read_model import read_model
from rtcompile.options import BuildOptions
from rtcompile.runtime.artifact import read_artifact
from tests.ranking_model import RankingModel, small_ranking_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> RankingModel:
    """With its tensors in a file beside it, and a vocabulary in another."""
    folder = tmp_path_factory.mktemp("provenance")
    made = small_ranking_model(folder, "user_id", "item_id", "words")
    loaded = onnx.load(made.onnx)
    onnx.save(loaded, made.onnx, save_as_external_data=True, location="weights", size_threshold=0)
    config = json.loads(made.features.read_text())
    for feature in config["features"]:
        if feature["feature_name"] == "words":
            words = feature.pop("vocab_list", None) or list(feature.pop("vocab_dict"))
            (folder / "words.txt").write_text("\n".join(words))
            feature.update(vocab_file="words.txt", default_bucketize_value=0)
    made.features.write_text(json.dumps(config))
    return made


def _options(model: RankingModel, **changes: Any) -> BuildOptions:
    return BuildOptions(features=model.features, embeddings=model.embeddings, **changes)


def _provenance(model: RankingModel) -> dict[str, Any]:
    options = _options(model, target="x86-64-v3")
    with recorded() as files:
        load_config(model.features)
        read_model(model.onnx)
        note_files(options, "x86-64-v3")
    return describe_provenance(files, options)


def test_every_file_is_listed(model: RankingModel) -> None:
    listed = {(file["role"], file["name"]): file for file in _provenance(model)["files"]}
    folder = model.onnx.parent
    for role, path in (
        ("model", model.onnx),
        ("model data", folder / "weights"),
        ("features", model.features),
        ("file of a feature", folder / "words.txt"),
        ("embeddings", model.embeddings),
    ):
        file = listed.pop((role, path.name))
        data = path.read_bytes()
        assert file["sha256"] == hashlib.sha256(data).hexdigest()
        assert file["bytes"] == len(data)
    assert {role for role, _ in listed} == {"tuning logs"}


def test_every_byte_counts(model: RankingModel) -> None:
    """The tables under one file name above all."""
    before = _provenance(model)
    assert _provenance(model) == before
    folder = model.onnx.parent
    for path in (model.embeddings, folder / "weights", folder / "words.txt", model.features):
        data = path.read_bytes()
        if path == model.embeddings:
            save_file({n: t + 1 for n, t in load_file(path).items()}, path)
        else:
            path.write_bytes(data + (b"\n" if path.suffix else b"\0"))
        after = _provenance(model)
        path.write_bytes(data)
        assert after["sha256"] != before["sha256"]
        assert after["options_sha256"] == before["options_sha256"]
    assert _provenance(model) == before


def test_where_files_lie_does_not_count() -> None:
    assert BuildOptions(features="a/fg.json").digest() == BuildOptions(features="b.json").digest()
    assert BuildOptions(features="a/fg.json").digest() != BuildOptions().digest()
    assert BuildOptions(tags=(("a", "b"),)).digest() != BuildOptions().digest()


def test_nothing_is_noted_where_no_one_asks(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    note_bytes(path, "features", b"abc")
    note_input(tmp_path / "none", "model")
    with recorded() as outer:
        note_bytes(path, "features", b"abc")
        with recorded() as inner:
            note_input(path, "vocabulary")
        note_input(path, "features")
    digest = hashlib.sha256(b"abc").hexdigest()
    assert outer == [InputFile("features", "a", 3, digest)]
    assert inner == [InputFile("vocabulary", "a", 3, digest)]


@pytest.mark.parametrize("tags", [(("a", "b"), ("a", "c")), (("", "b"),)])
def test_wrong_tags(tags: tuple[tuple[str, str], ...]) -> None:
    with pytest.raises(ConfigError, match="a key is not empty, and is given once"):
        BuildOptions(tags=tags)


def _run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.mark.slow
def test_a_build_in_json(model: RankingModel, tmp_path: Path) -> None:
    output = tmp_path / "m.rtc"
    options = ("--features", model.features, "--embeddings", model.embeddings, "-o", output)
    result = _run("build", model.onnx, *options, "--json", "--tag", "run=7", "--tag", "q=a=b")
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    data = output.read_bytes()
    assert told["artifact"] == str(output)
    assert (told["bytes"], told["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    manifest = read_artifact(output).manifest
    assert told["sections"]["module"] == manifest["sections"]["module"]["length"]
    assert told["targets"] == [manifest["target"]["name"]]
    assert told["verification"]["rows"] > 1
    assert any(one["applied"] for one in told["passes"])
    assert told["provenance"] == manifest["provenance"]
    assert told["tags"] == manifest["tags"] == {"run": "7", "q": "a=b"}
    shown = _run("inspect", output).stdout
    assert "tag q=a=b" in shown and "weights" in shown
    wrong = _run("build", model.onnx, *options, "--json", "--tag", "run")
    assert wrong.exit_code == 2
    onnx_missing = _run("build", tmp_path / "no.onnx", "-o", output, "--json")
    assert onnx_missing.exit_code == 10
    assert json.loads(onnx_missing.stdout)["error"] == {
        "class": "ModelError",
        "message": f"{tmp_path / 'no.onnx'}: no such file",
        "exit_code": 10,
    }
    for stream in ("-", "/dev/null"):
        refused = _run("build", model.onnx, *options[:-1], stream)
        assert refused.exit_code == 2 and "an artifact goes to a file" in refused.stderr
    assert output.read_bytes() == data


_BUILD = """
import sys
import rtcompile
model, features, embeddings, output = sys.argv[1:]
options = rtcompile.BuildOptions(features=features, embeddings=embeddings, verify=False)
rtcompile.build(model, options, output=output)
"""


@pytest.mark.slow
def test_the_same_inputs_give_the_same_bytes(model: RankingModel, tmp_path: Path) -> None:
    """In another folder, in another process, whatever order its sets have."""
    made = []
    for seed in ("1", "2"):
        folder = tmp_path / seed
        folder.mkdir()
        for path in model.onnx.parent.iterdir():
            (folder / path.name).write_bytes(path.read_bytes())
        names = [folder / p.name for p in (model.onnx, model.features, model.embeddings)]
        output = folder / "m.rtc"
        command = [sys.executable, "-c", _BUILD, *map(str, names), str(output)]
        subprocess.run(command, check=True, env={"PYTHONHASHSEED": seed, "PATH": "/usr/bin:/bin"})
        made.append(output.read_bytes())
    assert made[0] == made[1]


@pytest.mark.slow
def test_several_targets_have_one_set_of_tags(model: RankingModel, tmp_path: Path) -> None:
    options = _options(model, target=("x86-64-v2", "x86-64-v3"), verify=False, tags=(("a", "b"),))
    result = rtcompile.build(model.onnx, options, output=tmp_path / "m.rtc")
    manifest = read_artifact(tmp_path / "m.rtc").manifest
    assert manifest["tags"] == result.manifest["tags"] == {"a": "b"}
    assert manifest["provenance"]["model"] == "model.onnx"
    assert np.all([file["sha256"] for file in manifest["provenance"]["files"]])
