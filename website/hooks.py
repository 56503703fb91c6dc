"""What mkdocs calls while it builds the site."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from additions import BORROWED, borrowed, linked, loaded, to_pages, with_reading
from card_pages import pages
from links import broken
from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

log = logging.getLogger("mkdocs.hooks.invspec")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of cards, and those of files outside docs/."""
    for path, text in pages():
        files.append(File.generated(config, path, content=text))
    for source, path in BORROWED.items():
        files.append(File.generated(config, path, content=borrowed(source)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Lead links to borrowed files to their pages, and add to a paper what its numbers mean."""
    place = Path(page.file.src_uri)
    if place.parent.name != "papers":
        return linked(markdown)
    # tables of claims need the width
    page.meta["hide"] = ["toc"]
    return with_reading(markdown, place.name)


def on_post_page(output: str, page: Page, **_: Any) -> str:
    """Lead links of notebooks to pages. Warn of a page that loads something from the network.

    The site must stand alone.
    """
    if page.file.src_uri.endswith(".ipynb"):
        output = to_pages(output)
    for tag in loaded(output):
        log.warning("%s loads from the network: %s", page.file.src_uri, tag)
    return output


def on_post_build(config: MkDocsConfig, **_: Any) -> None:
    """Warn of links that lead nowhere."""
    for page, target in broken(Path(config.site_dir)):
        log.warning("%s has a broken link: %s", page, target)
