"""Hostile rows over every feature type, encoded, for `driver.c`.

Run `python -m tests.memory.batches ROWS [SEED]` to check as many rows under valgrind.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import tvm_ffi

from rtcompile.codegen.features.lower import FeatureStage
from rtcompile.codegen.library.module import compile_stages
from rtcompile.codegen.program.constants import ConstantStore
from rtcompile.compile.stage_entries import describe_columns
from rtcompile.features.config.parse_config import load_config
from rtcompile.runtime.abi.encoded import ColumnDescriptor
from rtcompile.runtime.abi.status import Status, tally_words
from rtcompile.runtime.encoding.encoded import Encoded
from rtcompile.runtime.memory.arrays import aligned_empty
from rtcompile.runtime.stages.extract import ColumnStage
from rtcompile.targets import resolve_target
from tests.rtcompile.compile.test_feature_extractor import CONFIG
from tests.rtcompile.features.test_operators import FEATURES

_ROWS = 100  # of a batch: more than a tile
_USERS = ("map", "nested", "key", "a", "one")

_WORDS = ["a", "b", "c", "ab", "ALL", "", " ", "ünï", "裙子", "true", "0"]
_WORDS += ["x" * 40, "k" * 7, "m" * 8]
_NUMBERS = ["1", "-2.5", "1e3", "nan", "inf", "0x1", "1e", ".5", "1e400", "-1e-400", "9" * 40]
_MARKS = [",", ";", "|", ":", "^", "\x1d", ",,", "", "_", " "]
_CUT = [b"\xe8", b"\x80", b"\xff\xfe", b"\x00", b"\xf0\x9f"]


def _text(rng: np.random.Generator) -> bytes:
    """Words, numbers, separators and halves of characters, mostly short."""
    count = int(rng.integers(0, 9)) if rng.random() < 0.998 else int(rng.integers(60, 160))
    pools: tuple[list[Any], ...] = (_WORDS, _NUMBERS, _MARKS, _MARKS, _CUT)
    parts = []
    for _ in range(count):
        pool = pools[rng.integers(len(pools))]
        part = pool[rng.integers(len(pool))]
        parts.append(part if isinstance(part, bytes) else part.encode())
    return b"".join(parts)


def _value(rng: np.random.Generator) -> Any:
    kind = rng.random()
    if kind < 0.1:
        return None
    if kind < 0.15:
        return float(rng.normal(scale=1e3))
    if kind < 0.2:
        return int(rng.integers(-(1 << 62), 1 << 62))
    if kind < 0.3:
        return [_text(rng) for _ in range(rng.integers(0, 5))]
    return _text(rng)


def _word(rng: np.random.Generator) -> Any:
    return _WORDS[rng.integers(len(_WORDS))]


def _number(rng: np.random.Generator) -> Any:
    return [None, float("nan"), 0.0, float(rng.normal()), "1,2,x", [1.0, 2.0]][rng.integers(6)]


def config() -> dict[str, Any]:
    """Every type of the tests, and EditDistance."""
    edits = [
        {
            "feature_type": "custom_feature",
            "feature_name": f"edits_{encoding}",
            "operator_name": "EditDistance",
            "encoding": encoding,
            "expression": ["user:one", "item:other"],
        }
        for encoding in ("utf-8", "latin")
    ]
    named = {f["feature_name"] for f in FEATURES if "feature_name" in f}
    others = [f for f in CONFIG["features"] if f.get("feature_name") not in named]
    return {"features": [*FEATURES, *others, *edits]}


class Batches:
    """Writes a library and batches of rows for it into a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        plan = load_config(config())
        constants = ConstantStore()
        stage = FeatureStage("features", constants)
        for feature in plan.features:
            stage.add_column(feature)
        program = stage.finish()
        self._constants = constants.to_bytes()
        # What valgrind knows of the processor ends at AVX2.
        library = compile_stages([program], len(self._constants), resolve_target("x86-64-v3"))
        (folder / "features.so").write_bytes(library)
        self._description = describe_columns(program, stage.columns, plan.features)
        module = tvm_ffi.load_module(str(folder / "features.so"))
        held = tvm_ffi.from_dlpack(aligned_empty(len(self._constants), "uint8"))
        self._stage = ColumnStage(module["features"], self._description, held, {})

    def write(self, rows: int, seed: int) -> None:
        """At least `rows` rows."""
        rng = np.random.default_rng(seed)
        with (self._folder / "batches").open("wb") as file:
            counts = tally_words(len(self._description["tallied"]))
            _words(file, self._description["workspace_bytes"], Status.WORDS + counts)
            _array(file, np.frombuffer(self._constants, np.uint8))
            for batch in range(-(-rows // _ROWS)):
                self._batch(file, rng, shared=batch % 2 == 1, single=batch % 4 == 3)
            _words(file, -1)

    def _batch(self, file: BinaryIO, rng: np.random.Generator, shared: bool, single: bool) -> None:
        """Of users that all rows share, or not; of keys that are at most one a row."""
        columns = {}
        for spec in self._stage.specs:
            if spec.name and spec.name not in columns:
                make = _number if spec.name in ("number", "c") else _value
                if single and spec.name in ("key", "keys"):
                    make = _word
                count = 1 if shared and spec.name in _USERS else _ROWS
                columns[spec.name] = [make(rng) for _ in range(count)]
        encoded = self._stage.encoder.rows(columns, _ROWS)
        _words(file, _ROWS, len(self._stage.specs))
        for index, spec in enumerate(self._stage.specs):
            part = encoded.part(index, spec)
            descriptor = encoded.columns.reshape(-1, ColumnDescriptor.WORDS)[index]
            _words(file, part.split, int(descriptor[ColumnDescriptor.MODE]))
            offsets = None if part.offsets is None else part.offsets - part.offsets[0]
            for array in (part.rows, part.values, offsets, part.text, part.numbers):
                # A map's table is found by ROWS and NUMBERS: nothing may stand there before.
                absent = array is None or (array is part.numbers and spec.is_text and not spec.pair)
                _words(file, int(absent))
                if array is not None and not absent:
                    _array(file, array)
        self._memory(file, encoded)

    def _memory(self, file: BinaryIO, encoded: Encoded) -> None:
        d = self._description
        scratch = d["scratch_per_byte"] * encoded.bound + d["scratch_per_shared"] * encoded.shared
        scratch += d["scratch_per_row"] * (encoded.rows + 2)
        sizes = self._stage.sizes(encoded)
        _words(file, scratch + d["scratch_bytes"] + 192, len(d["outputs"]))
        for port in d["outputs"]:
            item = np.dtype(port["dtype"]).itemsize
            elements = int(np.prod(port["shape"], dtype=np.int64))
            count = sizes.get(port["name"], elements * encoded.rows)
            _words(file, count * item, 0 if port["per_request"] else elements * item)


def _words(file: BinaryIO, *values: int) -> None:
    file.write(np.array(values, np.int64).tobytes())


def _array(file: BinaryIO, array: Any) -> None:
    data = np.ascontiguousarray(array).tobytes()
    _words(file, len(data))
    file.write(data)


def build_driver(folder: Path) -> Path:
    """Compile `driver.c` beside the batches."""
    library = Path(tvm_ffi.libinfo.find_libtvm_ffi())
    driver = folder / "driver"
    source = Path(__file__).with_name("driver.c")
    command = ["gcc", "-O1", "-g", "-std=gnu11", "-Wall", "-Werror", str(source), "-o", str(driver)]
    linked = ["-Wl,--no-as-needed", str(library), f"-Wl,-rpath,{library.parent}", "-ldl"]
    subprocess.run([*command, *linked], check=True)
    return driver


def check(folder: Path, rows: int, seed: int) -> subprocess.CompletedProcess[str]:
    """Run `rows` rows under valgrind; its exit code is 9 for an error or a leak."""
    batches = Batches(folder)
    batches.write(rows, seed)
    command = [
        *("valgrind", "--error-exitcode=9", "--leak-check=full", "--quiet"),
        *("--errors-for-leak-kinds=definite", str(build_driver(folder))),
        *(str(folder / "features.so"), str(folder / "batches")),
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        done = check(Path(temporary), int(sys.argv[1]), int(sys.argv[2]) if sys.argv[2:] else 0)
    print(done.stdout, done.stderr, f"exit code {done.returncode}")
    sys.exit(done.returncode)
