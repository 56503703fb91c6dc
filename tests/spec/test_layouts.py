"""Layouts of tables and figures."""

from __future__ import annotations

from typing import get_args

import pytest
from pydantic import ValidationError
from workbench import ROOT

from invspec.spec.layouts import Against, FigureKind, Layout


def test_a_layout_is_a_profile_unless_it_says_otherwise() -> None:
    layout = Layout(of=("accuracy",))
    assert (layout.drawn, layout.rows, layout.columns, layout.at) == ("profile", None, None, {})


def test_several_measures_have_no_figure_unless_it_is_a_profile() -> None:
    assert Layout(of=("accuracy", "invariance")).drawn == "none"
    assert Layout(of=("accuracy", "invariance"), figure="profile").drawn == "profile"
    with pytest.raises(ValidationError, match="expected profile or none for several measures"):
        Layout(of=("accuracy", "invariance"), figure="matrix")


def test_measures_of_a_table_are_distinct() -> None:
    with pytest.raises(ValidationError, match="expected distinct measures"):
        Layout(of=("accuracy", "accuracy"))


def test_one_row_coordinate_counts_as_a_list() -> None:
    assert Layout.model_validate({"of": "accuracy", "rows": "model"}).rows == ("model",)


def test_a_plane_needs_a_second_measure() -> None:
    with pytest.raises(ValidationError, match="expected against, the second measure of a plane"):
        Layout(of=("accuracy",), figure="plane")
    plane = Layout.model_validate(
        {"of": "accuracy", "figure": "plane", "against": {"of": "invariance"}}
    )
    assert plane.against == Against(of="invariance")


@pytest.mark.parametrize("figure", get_args(FigureKind))
def test_every_figure_is_explained(figure: FigureKind) -> None:
    page = (ROOT / "docs" / "spec.md").read_text(encoding="utf-8")
    table = page[page.index("| figure | shows |") : page.index("## Checks")]
    assert f"`{figure}`" in table
    assert f"{figure}:" in (Layout.__doc__ or "")


@pytest.mark.parametrize("figure", [kind for kind in get_args(FigureKind) if kind != "plane"])
def test_no_other_figure_takes_a_second_measure(figure: FigureKind) -> None:
    assert Layout(of=("accuracy",), figure=figure).figure == figure
    with pytest.raises(
        ValidationError, match=f"expected figure: plane with against, found {figure}"
    ):
        Layout(of=("accuracy",), figure=figure, against=Against(of="invariance"))
