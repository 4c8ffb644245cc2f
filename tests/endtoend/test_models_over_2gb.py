"""A model whose table is over 2 GB, as no protobuf message may be: built, verified, and called, in
little memory of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

_ROWS, _WIDTH = 9_000_000, 64
_FREE_BYTES = 10 << 30  # of disk: the table, and twice an artifact with it

# Builds, and says the most memory that was not of files.
_BUILD = """
import sys, threading
from pathlib import Path
import rtcompile

most, ended = 0, threading.Event()

def watch():
    global most
    while not ended.wait(0.05):
        lines = Path("/proc/self/status").read_text().splitlines()
        most = max(most, *(int(l.split()[1]) for l in lines if l.startswith("RssAnon")))

thread = threading.Thread(target=watch)
thread.start()
try:
    found = rtcompile.build(sys.argv[1], output=sys.argv[2])
finally:
    ended.set()
    thread.join()
assert found.verification is not None
print(most)
"""


def _written(folder: Path) -> Path:
    """Gather of a table whose rows hold their number; the file of it has holes."""
    table = np.memmap(folder / "t.bin", np.float32, "w+", shape=(_ROWS, _WIDTH))
    table[:: _ROWS // 1000] = np.arange(0, _ROWS, _ROWS // 1000, dtype=np.float32)[:, None]
    table[-1] = _ROWS - 1
    del table
    tensor = TensorProto(name="t", data_type=TensorProto.FLOAT, dims=[_ROWS, _WIDTH])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="t.bin")
    graph = helper.make_graph(
        [helper.make_node("Gather", ["t", "id"], ["y"])],
        "g",
        [helper.make_tensor_value_info("id", TensorProto.INT64, ["N"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", _WIDTH])],
        [tensor],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    (folder / "m.onnx").write_bytes(model.SerializeToString())
    onnx.checker.check_model(str(folder / "m.onnx"))
    return folder / "m.onnx"


@pytest.mark.long
def test_a_table_over_2_gb(tmp_path: Path) -> None:
    if shutil.disk_usage(tmp_path).free < _FREE_BYTES:
        pytest.skip("not enough room on the disk")
    path, output = _written(tmp_path), tmp_path / "m.rtc"
    try:
        command = [sys.executable, "-c", _BUILD, str(path), str(output)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert int(done.stdout.split()[-1]) < 1_000_000  # kB, less than half of the table
        ids = np.array([0, 9000, _ROWS - 9000, _ROWS - 1])
        code = (
            "import sys, runtime, numpy as np; "
            "y = runtime.load(sys.argv[1]).predict({'id': np.array(eval(sys.argv[2]))})['y']; "
            "print(y[:, 0].astype(int).tolist(), y[:, -1].astype(int).tolist())"
        )
        command = [sys.executable, "-c", code, str(output), str(ids.tolist())]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.stdout.strip() == f"{ids.tolist()} {ids.tolist()}", done.stderr
    finally:
        output.unlink(missing_ok=True)
        (tmp_path / "t.bin").unlink()
