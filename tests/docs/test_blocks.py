"""Every code block of README and docs runs, but for the few that say that they cannot."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from rtcompile.features.config.parse_config import load_config
from tests.docs.blocks import ROOT, RUN, SHOWN, Block, Page, blocks_of, pages
from tests.docs.workshop import make_workshop

# Pages whose blocks need more than `all` brings: they have a test of their own.
_ELSEWHERE = ("docs/tutorial.md",)
# What cannot run in a test: it installs, listens for ever, needs another machine, or was printed.
_MOST_SHOWN = 12

_PAGES = [page.relative_to(ROOT).as_posix() for page in pages()]
_RUNNING = [
    name
    for name in _PAGES
    if name not in _ELSEWHERE
    and any(block.language in ("python", "sh") for block in blocks_of(ROOT / name))
]


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("workshop")
    make_workshop(folder)
    return folder


@pytest.fixture
def folder(workshop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the tutorial's files, and of what pages use of the repository, to run in."""
    found = tmp_path / "page"
    shutil.copytree(workshop, found)
    for name in ("models/movielens", "tuning_logs"):
        shutil.copytree(ROOT / name, found / name)
    monkeypatch.chdir(found)
    return found


def _sets_up(text: str) -> bool:
    """Whether a block makes an environment: the README's two commands, which CI runs."""
    return text.lstrip().startswith("#") and "python3 -m venv" in text


@pytest.mark.slow
@pytest.mark.parametrize("name", _RUNNING)
def test_the_blocks_of_a_page_run(name: str, folder: Path) -> None:
    page = Page(folder)
    for block in blocks_of(ROOT / name):
        if not _sets_up(block.text):
            page.run(block)


@pytest.mark.parametrize("name", _PAGES)
def test_blocks_are_of_known_languages(name: str) -> None:
    for block in blocks_of(ROOT / name):
        assert block.language in (*RUN, *SHOWN), block.place


def test_few_blocks_are_only_shown() -> None:
    shown = [b.place for name in _PAGES for b in blocks_of(ROOT / name) if b.language in SHOWN]
    assert len(shown) <= _MOST_SHOWN, shown


def test_json_blocks_are_configs_or_parts_of_them() -> None:
    for block in _of_language("json"):
        value = json.loads(block.text)
        if isinstance(value, dict) and not _names_files(value):
            load_config(value)


def test_yaml_blocks_can_be_read() -> None:
    yaml = pytest.importorskip("yaml")
    for block in _of_language("yaml"):
        assert yaml.safe_load(block.text), block.place


def _of_language(language: str) -> list[Block]:
    found = [b for name in _PAGES for b in blocks_of(ROOT / name) if b.language == language]
    assert found
    return found


def _names_files(value: object) -> bool:
    """Whether a config reads files, which are there only where its page runs."""
    return "_file" in json.dumps(value)


@pytest.mark.long
def test_the_two_commands_work_as_pasted(tmp_path: Path) -> None:
    """In a fresh clone. The tests are only collected: they are running already."""
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
    block = next(b for b in blocks_of(ROOT / "README.md") if _sets_up(b.text))
    environment = {**os.environ, "PYTEST_ADDOPTS": "--collect-only"}
    environment.pop("VIRTUAL_ENV", None)
    subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.text], cwd=clone, env=environment, check=True
    )
