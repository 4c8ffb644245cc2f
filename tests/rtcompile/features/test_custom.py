"""Custom operators: those built in, Python files, shared libraries."""

from __future__ import annotations

import json
import platform
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rtcompile.features
from rtcompile import BuildOptions, build
from rtcompile.errors import ConfigError, UnsupportedError
from rtcompile.features import FeatureExtractor, compile_features
from rtcompile.features.config.parse_config import load_config
from rtcompile.features.reference.reference_features import extract
from rtcompile.targets import TARGETS

HEADER = Path(rtcompile.features.__file__).parent


def _custom(operator: str, inputs: list[str], **keys: Any) -> dict[str, Any]:
    return {
        "feature_type": "custom_feature",
        "feature_name": "f",
        "operator_name": operator,
        "expression": inputs,
        **keys,
    }


def _values(
    feature: dict[str, Any], columns: dict[str, list[Any]], folder: Path | str = "."
) -> Any:
    extractor = compile_features({"features": [feature]}, folder)
    column = extractor(columns)["f"]
    want = extract(extractor.plan, columns)["f"]
    np.testing.assert_array_equal(column.values, want.values)
    assert (column.lengths is None) == (want.lengths is None)
    if want.lengths is not None:
        np.testing.assert_array_equal(column.lengths, want.lengths)
    return column.values.tolist()


# -- EditDistance ---------------------------------------------------------------------------

_SIDES = ["user:one", "item:other"]


@pytest.fixture(scope="module")
def distances() -> FeatureExtractor:
    utf8 = _custom("EditDistance", _SIDES, encoding="utf-8", default_value="-1")
    latin = _custom("EditDistance", _SIDES, boundaries=[0, 2.5, 5]) | {"feature_name": "latin"}
    return compile_features({"features": [utf8, latin]})


def test_edit_distance_of_the_peer(distances: FeatureExtractor) -> None:
    found = distances(
        {"one": ["裙子", "kitten", "", None], "other": ["连衣裙", "sitting", "a", "b"]}
    )
    assert found["f"].values.tolist() == [[3.0], [3.0], [-1.0], [-1.0]]
    assert found["latin"].values.tolist() == [3, 2]


HOSTILE = st.one_of(
    st.none(),
    st.text("abü裙", max_size=12),
    st.binary(max_size=20),
    st.lists(st.sampled_from([b"\x80", b"\xe8\xa3", "a", "裙子"]), max_size=5),
    st.integers(),
)


@given(one=HOSTILE, other=HOSTILE)
@settings(max_examples=300, deadline=None)
def test_edit_distance(distances: FeatureExtractor, one: Any, other: Any) -> None:
    columns = {"one": [one, "x"], "other": [other, one]}
    want, found = extract(distances.plan, columns), distances(columns)
    for name in ("f", "latin"):
        np.testing.assert_array_equal(found[name].values, want[name].values)


# -- Python files ---------------------------------------------------------------------------

SOURCE = """
from rtcompile.operators import Value, abs, dot, log, max, operator, reduce_sum, where

@operator
def LogRatio(clicks: Value, shows: Value, *, floor: float = 1.0) -> Value:
    return log(clicks + floor) - log(shows + floor)

@operator
def Everything(a, b):
    odd = where((a > 1) & ~(b <= 2) | (a == b), -a ** 2 % 7, 3 / max(b, 0.5) - abs(-b))
    return 1 + odd * (a != 4) + (2 - a) / 10 + (True & (b < 9))

@operator
def Share(a, b):
    return dot(a, b) / reduce_sum(b)

@operator
def Branching(a, b):
    return a if a > b else b

@operator
def Nothing(a, b):
    return None

@operator
def NotAnInput(a, b):
    return reduce_sum(a + b)

def Unmarked(a, b):
    return a
"""


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("operators")
    (folder / "own.py").write_text(SOURCE)
    (folder / "broken.py").write_text("import no_such_module")
    return folder


def _python(name: str, **keys: Any) -> dict[str, Any]:
    return _custom(name, ["user:a", "item:b"], operator_lib_file="own.py", **keys)


def test_a_python_operator_is_compiled(sources: Path) -> None:
    columns = {"a": [3.0, 0.0, None], "b": ["7", 1, 2]}
    found = _values(_python("LogRatio", floor=2, default_value="9"), columns, sources)
    np.testing.assert_allclose(found, [[np.log(5 / 9)], [np.log(2 / 3)], [9.0]], 1e-6)


def test_a_python_operator_may_have_boundaries_and_read_a_feature(sources: Path) -> None:
    inner = {
        "feature_type": "lookup_feature",
        "feature_name": "inner",
        "map": "user:m",
        "key": "item:b",
        "stub_type": True,
    }
    feature = _custom("LogRatio", ["feature:inner", "item:b"], boundaries=[0, 1])
    feature["operator_lib_file"] = "own.py"
    extractor = compile_features({"features": [inner, feature]}, sources)
    found = extractor({"m": ["1:9\x1d2:0"], "b": [1, 2]})["f"].values
    assert found.tolist() == [2, 0]


def test_every_operator_of_python(sources: Path) -> None:
    columns = {"a": [0.5, 1.5, 4.0, -2.0, 3.0, 8.0], "b": [0.5, 2.5, 1.0, 9.0, -1.0, 3.0]}
    found = np.array(_values(_python("Everything"), columns, sources))[:, 0]
    want = []
    for a, b in zip(columns["a"], columns["b"], strict=True):
        odd = np.fmod(-(a**2), 7) if (a > 1 and b > 2) or a == b else 3 / max(b, 0.5) - abs(b)
        want.append(1 + odd * (a != 4) + (2 - a) / 10 + (b < 9))
    np.testing.assert_allclose(found, want, 1e-6)


def test_a_python_operator_of_vectors(sources: Path) -> None:
    columns = {"a": [[1.0, 2.0]], "b": [[3.0, 5.0]]}
    assert _values(_python("Share"), columns, sources) == [[1.625]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"operator_name": "Branching"}, "TypeError: a Value is not known yet: write where"),
        ({"operator_name": "Nothing"}, "Nothing returned NoneType, not a Value"),
        ({"operator_name": "NotAnInput"}, "reduce_sum takes inputs as they are"),
        ({"operator_name": "Unmarked"}, "has no operator 'Unmarked'; it has LogRatio, Every"),
        ({"operator_name": "LogRatio", "roof": 1}, "unexpected keyword argument 'roof'"),
        ({"expression": ["user:a"]}, "missing a required"),
        ({"operator_lib_file": "broken.py"}, "ModuleNotFoundError: No module named 'no_such"),
        ({"operator_lib_file": "none.py"}, "No such file or directory"),
        ({"operator_lib_file": None}, "'LogRatio' is not built in, as EditDistance, RegexReplace"),
    ],
)
def test_bad_python_operators(sources: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config({"features": [_python("LogRatio") | change]}, sources)


# -- shared libraries -----------------------------------------------------------------------

C_SOURCE = r"""
#include <string.h>
#include "rtcompile_operator.h"

/* The bytes of each input, and of the parameters. */
int64_t Sizes(const rtcompile_text *in, int64_t n, const char *parameters, double *out,
              int64_t capacity) {
  int64_t i = 0;
  for (; i < n && i < capacity; ++i) out[i] = (double)in[i].size;
  if (i < capacity) out[i++] = (double)strlen(parameters);
  return i;
}

/* The first byte of each input, joined; nothing where one is empty, far too much for "x". */
int64_t Initials(const rtcompile_text *in, int64_t n, const char *parameters, char *out,
                 int64_t capacity) {
  int64_t size = 0;
  for (int64_t i = 0; i < n; ++i) {
    if (in[i].size == 0) return -1;
    if (i > 0) out[size++] = ',';
    out[size++] = in[i].data[0];
  }
  return in[0].data[0] == 'x' ? capacity + 7 : size;
}
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("library")
    (folder / "own.c").write_text(C_SOURCE)
    (folder / "not_a_library.so").write_text("text")
    command = ["gcc", "-shared", "-fPIC", "-O1", f"-I{HEADER}", "-o", "own.so", "own.c"]
    subprocess.run(command, cwd=folder, check=True)
    return folder


def _library(name: str, **keys: Any) -> dict[str, Any]:
    return _custom(name, ["user:a", "item:b"], operator_lib_file="own.so", **keys)


def test_a_library_makes_numbers(library: Path) -> None:
    columns = {"a": ["abc", None, ["x", "yz"]], "b": ["裙", 12, ""]}
    found = _values(_library("Sizes", value_dim=4, level=2, default_value="-1"), columns, library)
    assert found == [[3, 3, 12, -1], [0, 2, 12, -1], [3, 0, 12, -1]]
    assert _values(_library("Sizes", boundaries=[1, 3]), columns, library) == [2, 0, 2]


def test_a_library_makes_text(library: Path) -> None:
    columns = {"a": ["abc", None, "b"], "b": ["c", "c", "ab"]}
    feature = _library("Initials", vocab_list=["a", "b", "c"], separator=",", default_value="z")
    extractor = compile_features({"features": [feature]}, library)
    column = extractor(columns)["f"]
    assert column.values.tolist() == [2, 4, 0, 3, 2]
    assert column.lengths is not None
    assert column.lengths.tolist() == [2, 1, 2]


def test_a_library_is_not_taken_to_another_machine(library: Path) -> None:
    other = next(t.name for t in TARGETS.values() if t.machine != platform.machine())
    config, output = library / "fg.json", library / "m.rtc"
    config.write_text(json.dumps({"features": [_library("Sizes", value_dim=4)]}))
    options = BuildOptions(features=config, target=other, verify=False)
    with pytest.raises(UnsupportedError, match="operator_lib_file was compiled for this machine"):
        build(library / "m.onnx", options, output=output)


def test_what_a_library_writes_beyond_its_room_is_cut(library: Path) -> None:
    feature = _library("Initials", hash_bucket_size=10, separator=",")
    assert len(compile_features({"features": [feature]}, library)({"a": ["x"], "b": ["y"]})) == 1


def test_a_library_in_a_sequence(library: Path) -> None:
    feature = _library("Sizes", sequence_delim=";", sequence_length=3, default_value="0")
    feature |= {"is_sequence": True, "separator": "|"}
    extractor = compile_features({"features": [feature]}, library)
    columns = {"a": ["abc", "d"], "b": ["x;yy;;z", None]}
    np.testing.assert_array_equal(
        extractor(columns)["f"].values, extract(extractor.plan, columns)["f"].values
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"operator_name": "Missing"}, "the operator library has no function 'Missing'"),
        ({"operator_lib_file": "not_a_library.so"}, "cannot be loaded: the library: "),
        ({"operator_lib_file": "none.so"}, "none.so: No such file or directory"),
        ({"is_op_thread_safe": False}, "requests run side by side"),
        ({"value_dim": 5000}, "5000 is more than 4096"),
    ],
)
def test_bad_libraries(library: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config({"features": [_library("Sizes") | change]}, library)
