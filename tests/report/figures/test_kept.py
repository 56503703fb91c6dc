"""Figures are drawn again only where what they show has changed."""

from dataclasses import replace

import pytest
from report_toys import CLAIMS, outcomes

from invspec.report import build, contents
from invspec.report.figures import draw, kept
from invspec.report.figures.kept import Figures
from invspec.report.pages import render


@pytest.fixture
def drawings(monkeypatch):
    """How often a figure was drawn."""
    drawn = []
    original = draw.draw

    def counted(*arguments, **options):
        drawn.append(1)
        return original(*arguments, **options)

    monkeypatch.setattr(draw, "draw", counted)
    return drawn


def test_a_second_page_of_the_same_numbers_draws_nothing(toy, tmp_path, drawings):
    report = contents.report(*toy)
    figures = Figures(tmp_path / "kept")
    first = render.write(report, tmp_path / "page", figures=figures).read_text()
    assert drawings
    drawings.clear()
    assert render.write(report, tmp_path / "page", figures=figures).read_text() == first
    assert not drawings


def test_a_changed_number_draws_its_figure_alone(toy, planned, toy_store, tmp_path, drawings):
    figures = Figures(tmp_path / "kept")
    render.write(contents.report(*toy), tmp_path / "page", figures=figures)

    def other(coords):
        found = outcomes(coords)
        return found if found is None or coords["measure"] != "robustness" else ~found

    plan = planned(CLAIMS)
    drawings.clear()
    render.write(contents.report(plan, toy_store(plan, other)), tmp_path / "page", figures=figures)
    # as files and in the page
    assert len(drawings) == 2


def test_a_deleted_or_damaged_figure_is_drawn_again(toy, tmp_path, drawings):
    report = contents.report(*toy)
    figures = Figures(tmp_path / "kept")
    page = render.write(report, tmp_path / "page", figures=figures)
    text = page.read_text()
    for file in (tmp_path / "kept").iterdir():
        file.write_text("{")
    (tmp_path / "page" / "figures" / "accuracy.png").unlink()
    drawings.clear()
    assert render.write(report, tmp_path / "page", figures=figures).read_text() == text
    assert (tmp_path / "page" / "figures" / "accuracy.png").exists()
    assert drawings


def test_tables_that_look_different_have_different_digests(toy):
    (_, table) = build.tables(*toy)
    changed = (
        replace(table, title="another"),
        replace(table, legend="{rotations.max_degrees}"),
        replace(table, lines=table.lines[:-1]),
        replace(table, names={"linear": "Linear"}),
        replace(table, in_percent=True),
    )
    digests = {kept.digest([one]) for one in (table, *changed)}
    assert len(digests) == 1 + len(changed)
    # what is computed from a table and remembered changes nothing
    before = kept.digest([table])
    assert table.numbers
    assert table.decimals == 3
    assert kept.digest([table]) == before
