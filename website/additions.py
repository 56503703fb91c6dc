"""What the site adds to the pages of docs/: files from elsewhere, readings, and a guard."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
READINGS = Path(__file__).with_name("readings")
# files of the repository that are pages of the site, too
BORROWED = {"CONTRIBUTING.md": "contributing.md", "benchmarks/RESULTS.md": "benchmarks.md"}
# an address that a browser loads on its own, unlike that of a link
LOADED = re.compile(
    r"<(?:script|img|iframe|link rel=\"stylesheet\")[^>]*(?:src|href)=\"(?:https?:)?//[^>]*>"
)


def borrowed(source: str) -> str:
    """A file of the repository, with its links as a page of docs/ has them."""
    text = (ROOT / source).read_text(encoding="utf-8")
    return text.replace("](docs/", "](").replace("](../docs/", "](")


def linked(markdown: str) -> str:
    """A page whose links to borrowed files lead to their pages."""
    for source, path in BORROWED.items():
        markdown = markdown.replace(f"](../{source}", f"]({path}")
    return markdown


def with_reading(markdown: str, name: str) -> str:
    """The page of a paper with a reading of its numbers, if there is one, before its sections."""
    reading = READINGS / name
    if not reading.is_file():
        return markdown
    head, mark, rest = markdown.partition("\n## ")
    return f"{head}\n{reading.read_text(encoding='utf-8')}{mark}{rest}"


def loaded(html: str) -> Iterator[str]:
    """The tags of a page whose target a browser would fetch from another host."""
    yield from (match[0] for match in LOADED.finditer(html))


def to_pages(html: str) -> str:
    """The HTML of a notebook, whose links to Markdown and to notebooks lead to their pages."""
    return re.sub(r'href="([^":#]+)\.(?:md|ipynb)(["#])', r'href="\1.html\2', html)
