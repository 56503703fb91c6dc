from dataclasses import replace
from html.parser import HTMLParser

import pytest

from invspec.errors import InvspecError
from invspec.report import contents
from invspec.report.pages import render


class Page(HTMLParser):
    """Tags, ids and links of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.links = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.ids += [value for name, value in attrs if name == "id"]
        self.links += [value for name, value in attrs if name in ("src", "href", "xlink:href")]


def test_the_page_is_self_contained(toy, tmp_path):
    page = render.write(contents.report(*toy), folder=tmp_path / "report")
    read = Page(page.read_text())
    assert page == tmp_path / "report" / "index.html"
    assert not {"link", "iframe", "img"} & set(read.tags)
    # its own script, and the data for it
    assert read.tags.count("script") == 2
    assert "default-src 'none'" in page.read_text()
    assert all(link.startswith("#") for link in read.links)
    assert len(read.ids) == len(set(read.ids))
    assert {path.name for path in (tmp_path / "report" / "figures").iterdir()} == {
        f"{name}.{ending}"
        for name in ("accuracy", "robustness", "training", "training-2")
        for ending in ("png", "svg")
    }


def test_a_folder_keeps_the_page_of_its_study(toy, planned, toy_store, tmp_path):
    report = contents.report(*toy)
    page = render.write(report, tmp_path)
    before = page.read_bytes()
    assert render.write(report, tmp_path).read_bytes() == before
    spec = replace(report.plan.spec, options=("--scale", 'a "small" one'))
    other = replace(report, plan=replace(report.plan, spec=spec))
    with pytest.raises(
        InvspecError, match=rf"index.html is the page of toy, not of {other.plan.spec.name}"
    ):
        render.write(other, tmp_path)
    assert page.read_bytes() == before
    render.write(other, tmp_path / "other")
    with pytest.raises(InvspecError, match='is the page of toy-a "small" one, not of toy'):
        render.write(report, tmp_path / "other")


def test_the_page_escapes_texts_of_users(toy):
    text = render.text(contents.report(*toy))
    assert "<script>alert" not in text
    assert "Toy &lt;script&gt;alert(1)&lt;/script&gt; &amp; co_" in text
    assert "&lt;b&gt;it&lt;/b&gt;" in text


def test_a_page_without_any_results_can_be_written(nothing, tmp_path):
    text = render.write(contents.report(*nothing), folder=tmp_path).read_text()
    assert "24 of 24 cells are missing" in text
    assert "scores missing" in text


def test_training_curves_are_on_the_page_and_in_files(toy, tmp_path):
    text = render.write(contents.report(*toy), folder=tmp_path).read_text()
    assert "Training linear on digits: rotations" in text
    assert (tmp_path / "figures" / "training.png").exists()
    assert (tmp_path / "figures" / "training-2.svg").exists()
