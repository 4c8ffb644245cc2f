from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rtcompile.runtime.ffi import _NoTorch

_BROKEN = "raise OSError('a library that torch needs is missing')"


def _run(code: str, folder: Path) -> str:
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=folder, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


@pytest.mark.parametrize("text", [_BROKEN, "x = 1"])
def test_a_module_named_torch_is_not_imported(tmp_path: Path, text: str) -> None:
    (tmp_path / "torch.py").write_text(text)
    assert _run("import rtcompile, sys; print('torch' in sys.modules)", tmp_path) == "False"


def test_a_users_own_torch_stays(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("x = 1")
    assert _run("import torch, rtcompile, sys; print(sys.modules['torch'].x)", tmp_path) == "1"
    assert _run("import rtcompile, torch; print(torch.x)", tmp_path) == "1"


def test_torch_is_hidden_from_one_thread_alone() -> None:
    finder = _NoTorch(threading.get_ident())
    with pytest.raises(ModuleNotFoundError, match="without torch"):
        finder.find_spec("torch")
    finder.find_spec("torchvision")
    with ThreadPoolExecutor(1) as pool:
        pool.submit(finder.find_spec, "torch").result()


@pytest.mark.parametrize("order", ["import rtcompile, torch", "import torch, rtcompile"])
def test_torch_may_come_before_or_after(tmp_path: Path, order: str) -> None:
    pytest.importorskip("torch")
    code = f"{order}, tvm_ffi; print(tvm_ffi.from_dlpack(torch.ones(2)).shape)"
    assert "2" in _run(code, tmp_path)
