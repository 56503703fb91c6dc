"""What mkdocs calls while it builds the site: pages that are made of the registry."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from card_pages import pages
from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
READINGS = Path(__file__).with_name("readings")
# files of the repository that are pages of the site, too
BORROWED = {"CONTRIBUTING.md": "contributing.md", "benchmarks/RESULTS.md": "benchmarks.md"}
# an address that a browser loads on its own, unlike that of a link
LOADED = re.compile(
    r"<(?:script|img|iframe|link rel=\"stylesheet\")[^>]*(?:src|href)=\"(?:https?:)?//"
)
log = logging.getLogger("mkdocs.hooks.invspec")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of cards, and those of files outside docs/."""
    for path, text in pages():
        files.append(File.generated(config, path, content=text))
    for source, path in BORROWED.items():
        files.append(File.generated(config, path, content=borrowed(source)))
    return files


def borrowed(source: str) -> str:
    """A file of the repository, with its links as a page of docs/ has them."""
    text = (ROOT / source).read_text(encoding="utf-8")
    return text.replace("](docs/", "](").replace("](../docs/", "](")


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Lead links to borrowed files to their pages, and add to a paper what its numbers mean."""
    for source, path in BORROWED.items():
        markdown = markdown.replace(f"](../{source}", f"]({path}")
    place = Path(page.file.src_uri)
    if place.parent.name != "papers":
        return markdown
    # tables of claims need the width
    page.meta["hide"] = ["toc"]
    reading = READINGS / place.name
    return with_reading(markdown, reading.read_text("utf-8")) if reading.is_file() else markdown


def with_reading(markdown: str, reading: str) -> str:
    """The page of a paper with a reading of its numbers before its first section."""
    head, mark, rest = markdown.partition("\n## ")
    return f"{head}\n{reading}{mark}{rest}"


def on_post_page(output: str, page: Page, **_: Any) -> str:
    """Warn of a page that loads something from the network: the site must stand alone."""
    for match in loaded(output):
        log.warning("%s loads from the network: %s", page.file.src_uri, match)
    return output


def loaded(html: str) -> Iterator[str]:
    """The tags of a page whose target a browser would fetch from another host."""
    yield from (match[0] for match in LOADED.finditer(html))
