"""The links of the built site: which of them lead nowhere.

mkdocs checks those of Markdown pages; notebooks, generated cards and themes have others.
"""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class _Page(HTMLParser):
    """What a page links to, and the places in it that have a name."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.targets = dict[str, None]()
        self.anchors = set[str]()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value for name, value in attrs if value}
        names = ("id", "name") if tag == "a" else ("id",)
        self.anchors.update(values[name] for name in names if name in values)
        self.targets.update({values[name]: None for name in ("href", "src") if name in values})


def broken(site: Path) -> Iterator[tuple[str, str]]:
    """Each link of a built site to a file or an anchor that it lacks, with the page it is on."""
    root = site.resolve()
    pages = {path: _Page(path.read_text(encoding="utf-8")) for path in sorted(root.rglob("*.html"))}
    for path, page in pages.items():
        for target in page.targets:
            url = urlsplit(target)
            if url.scheme or url.netloc:
                continue
            start = root if url.path.startswith("/") else path.parent
            file = (start / unquote(url.path).lstrip("/")).resolve() if url.path else path
            file = file / "index.html" if file.is_dir() else file
            if not _has(file, unquote(url.fragment), pages):
                yield path.relative_to(root).as_posix(), target


def _has(file: Path, anchor: str, pages: dict[Path, _Page]) -> bool:
    """Whether there is this file and, if it is a page, an anchor of this name in it."""
    page = pages.get(file)
    return file.is_file() and (page is None or not anchor or anchor in page.anchors)
