"""The reference pages, generated from the code whenever the site is built.

`.mkdocs.yml` names this file as a hook. `pages()` needs the compiler's extra, nothing of MkDocs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from command_line import command_page
from feature_keys import feature_page
from manifest_entries import manifest_page
from python_api import python_page

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

__all__ = ["on_files", "pages"]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages to the site: MkDocs calls this."""
    from mkdocs.structure.files import File

    for path, text in pages().items():
        files.append(File.generated(config, path, content=text))
    return files


def pages() -> dict[str, str]:
    """Path below the docs -> the page in Markdown."""
    found = {
        "features": feature_page(),
        "python": python_page(),
        "cli": command_page(),
        "manifest": manifest_page(),
    }
    return {f"reference/{name}.md": "\n".join(lines) + "\n" for name, lines in found.items()}
