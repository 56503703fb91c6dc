"""The site as a whole: its navigation, its links into the README, and its theme."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import yaml
from additions import BORROWED, READINGS, borrowed, linked, loaded, to_pages, with_reading
from links import broken
from site_pages import DOCS, ROOT, page

from invspec.spec.layouts import FigureKind

GALLERY = ROOT / "website" / "gallery.yaml"
CONFIG: dict[str, Any] = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))


def entries(nav: Any) -> Iterator[str]:
    """The pages of a navigation."""
    if isinstance(nav, str):
        yield nav
    for entry in nav.values() if isinstance(nav, dict) else nav if isinstance(nav, list) else ():
        yield from entries(entry)


def test_every_page_is_in_the_navigation_once() -> None:
    named = list(entries(CONFIG["nav"]))
    assert len(named) == len(set(named))
    pages = [*DOCS.rglob("*.md"), *DOCS.rglob("*.ipynb")]
    written = {path.relative_to(DOCS).as_posix() for path in pages}
    missing = sorted(written - set(named))
    assert missing == [], "add them to `nav` in mkdocs.yml"
    made = {name for name in named if name.startswith("cards/")} | set(BORROWED.values())
    assert set(named) - written == made


def test_the_readme_is_one_screen_of_two_commands_and_one_picture() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(readme.splitlines()) <= 45
    (shell,) = re.findall(r"^```sh\n(.*?)^```$", readme, re.M | re.S)
    assert shell.splitlines() == ["uv run invspec run specs/quickstart.yaml", "uv run pytest"]
    assert len(re.findall(r"!\[", readme)) == 1


def test_links_of_the_readme_lead_to_files() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#:]+)(?:#[\w-]+)?\)", readme)
    assert len(links) > 10
    assert [link for link in links if not (ROOT / link).is_file()] == []


def test_every_paper_says_what_its_numbers_mean() -> None:
    papers = {path.name for path in (DOCS / "papers").glob("*.md")} - {"README.md"}
    assert {path.name for path in READINGS.glob("*.md")} == papers


def test_numbers_in_a_reading_are_those_of_the_page() -> None:
    for reading in READINGS.glob("*.md"):
        paper = (DOCS / "papers" / reading.name).read_text(encoding="utf-8")
        numbers = re.findall(r"\d+\.\d+", reading.read_text(encoding="utf-8"))
        assert [number for number in numbers if number not in paper] == []


def test_a_reading_stands_before_the_first_section() -> None:
    name = next(READINGS.glob("*.md")).name
    paper = with_reading("# Paper\n\nlegend\n\n## A spec\n\n- one", name)
    assert paper.index("legend") < paper.index("What the numbers mean") < paper.index("A spec")
    assert with_reading("# Index\n\n## A spec", "README.md") == "# Index\n\n## A spec"


def test_links_lead_to_the_pages_of_borrowed_files() -> None:
    assert linked("[x](../benchmarks/RESULTS.md#speed)") == "[x](benchmarks.md#speed)"
    assert "](docs/" not in borrowed("CONTRIBUTING.md")


def test_links_of_the_built_site_that_lead_nowhere(tmp_path: Path) -> None:
    (tmp_path / "cards").mkdir()
    (tmp_path / "cards" / "index.html").write_text('<h1 id="top">Cards</h1>', encoding="utf-8")
    (tmp_path / "a picture.png").touch()
    good = ("#here", "cards/", "cards/index.html#top", "/cards/#top", "https://example.org/no.html")
    bad = ("#there", "cards/pgd.html", "cards/#bottom", "picture.png", "/cards/no/")
    links = "".join(f'<a href="{target}">x</a>' for target in (*good, *bad))
    page = f'<p id="here">{links}<img src="a%20picture.png"></p>'
    (tmp_path / "index.html").write_text(page, encoding="utf-8")
    assert list(broken(tmp_path)) == [("index.html", target) for target in bad]


def test_links_of_notebooks_lead_to_pages() -> None:
    assert to_pages('<a href="../own-net.md#a">') == '<a href="../own-net.html#a">'
    assert to_pages('<a href="own_net.ipynb">') == '<a href="own_net.html">'
    elsewhere = '<a href="https://example.org/a.md">'
    assert to_pages(elsewhere) == elsewhere


def test_what_a_page_loads_from_elsewhere_is_noticed() -> None:
    assert list(loaded('<a href="https://example.org">a link</a>')) == []
    assert len(list(loaded('<script src="https://example.org/a.js"></script>'))) == 1
    assert len(list(loaded('<img alt="x" src="//example.org/a.png">'))) == 1


def test_fonts_come_from_the_reader() -> None:
    assert CONFIG["theme"]["font"] is False


def test_the_gallery_shows_the_spec_that_draws_it() -> None:
    (shown,) = [block.text for block in page("gallery") if block.language == "yaml"]
    assert yaml.safe_load(shown) == yaml.safe_load(GALLERY.read_text(encoding="utf-8"))
    drawn = {layout["figure"] for layout in yaml.safe_load(shown)["report"] if "figure" in layout}
    assert drawn | {"profile", "none"} == set(get_args(FigureKind))
