"""The pages name files that are there, and the reference has everything that the code has."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping

import pytest

from rtcompile.cli import main
from rtcompile.features.config.parse_config import SUPPORTED_TYPES
from tests.docs.blocks import ROOT

_FOLDERS = "rtcompile|relay_passes|runtime|models|tests|tuning_logs|findings|docs"
_PATH = re.compile(rf"`((?:{_FOLDERS})/[\w./-]*\w/?)`")
_ANY_NAME = re.compile("NAME|MY_PASS|TARGET|KERNEL")  # stand for many
_PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_files_that_pages_name_are_there() -> None:
    missing = [
        f"{page.relative_to(ROOT)}: {path}"
        for page in _PAGES
        for path in _PATH.findall(page.read_text("utf-8"))
        if not _ANY_NAME.search(path) and not (ROOT / path).exists()
    ]
    assert not missing, "\n".join(missing)


@pytest.fixture(scope="module")
def reference() -> Mapping[str, str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "docs/generate"))
        found: Mapping[str, str] = importlib.import_module("hook").pages()
    return found


def test_the_reference_has_every_key(reference: Mapping[str, str]) -> None:
    page = reference["reference/features.md"]
    for name, (schema, _) in SUPPORTED_TYPES.items():
        assert f"\n## {name}\n" in page
        for key, field in schema.model_fields.items():
            spelling = getattr(field.validation_alias, "choices", [key])[0]
            assert f"`{spelling}`" in page, (name, key)
    keys = [line for line in page.splitlines() if line.startswith("| `")]
    assert [line for line in keys if line.endswith("|  |")] == []  # each has its meaning


def test_the_reference_has_every_command(reference: Mapping[str, str]) -> None:
    for name, command in main.commands.items():
        for inner in getattr(command, "commands", {"": None}):
            assert f"\n## rtcompile {name} {inner}".rstrip() + "\n" in reference["reference/cli.md"]


def test_the_reference_has_what_the_package_offers(reference: Mapping[str, str]) -> None:
    import rtcompile

    for name in rtcompile.__all__:
        assert f"\n## rtcompile.{name}\n" in reference["reference/python.md"]
    for method in ("rank", "extract", "counters", "items.upsert", "items.delete", "items.replace"):
        assert f"rtcompile.Ranker.{method}\n" in reference["reference/python.md"]


def test_the_reference_has_the_manifests_entries(reference: Mapping[str, str]) -> None:
    page = reference["reference/manifest.md"]
    for entry in ("sections.NAME.sha256", "stages", "tables[i].dtype", "columns[i].separator"):
        assert f"`{entry}`" in page
