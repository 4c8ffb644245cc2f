"""The tutorial runs from its first block to its last: PyTorch, the compiler, a service."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("onnxscript")
pytest.importorskip("fastapi")
pytest.importorskip("httpx")

from tests.docs.blocks import ROOT, Page, blocks_of


@pytest.mark.slow
def test_the_tutorial_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "app", raising=False)
    page = Page(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's exporter and the test client have some
        for block in blocks_of(ROOT / "docs/tutorial.md"):
            page.run(block)
    sys.modules.pop("app", None)
