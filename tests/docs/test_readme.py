"""The README: short, with links that lead somewhere, and the commands that CI runs."""

from __future__ import annotations

import re

import pytest

from tests.docs.blocks import ROOT

README = (ROOT / "README.md").read_text("utf-8")
MOST_WORDS = 1_000
COMMANDS = (
    "python3 -m venv .venv && .venv/bin/pip install -q -e '.[all]' && .venv/bin/rtcompile demo",
    "python3 -m venv .venv && .venv/bin/pip install -q -e '.[all]' && "
    ".venv/bin/python -m pytest -n auto --dist loadfile",
)


def test_takes_ten_minutes() -> None:
    assert len(README.split()) <= MOST_WORDS


@pytest.mark.parametrize("command", COMMANDS)
def test_has_the_commands(command: str) -> None:
    assert f"\n{command}\n" in README


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)", README)
    assert links
    for link in links:
        assert "://" in link or (ROOT / link).exists(), link
