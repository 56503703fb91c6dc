from report_toys import CLAIMS, outcomes

from invspec.report import build, style
from invspec.report.figures import draw
from invspec.report.figures.panels import panels_of, styles_of
from invspec.report.table import Line, Table


def test_each_model_has_a_panel_and_a_sweep_has_the_same_colours_in_all_of_them(toy):
    _, robustness = build.tables(*toy)
    assert list(panels_of(robustness)) == ["linear", "lenet"]
    styles = styles_of(robustness)
    assert list(styles) == [(0,), (90,), (180,)]
    assert (styles[(0,)].colour, styles[(180,)].colour) == (style.SWEEP[0][0], style.SWEEP[0][-1])


def test_a_sweep_keeps_its_colours_beside_rows_of_other_kinds():
    rows = [("rotations", 0.0), ("rotations", 180.0), ("plain", None)]
    lines = tuple(Line(row, (None, None)) for row in rows)
    table = Table(
        "", "", "m", ("defence", "rotations.max_degrees"), "pgd.eps", (0, 1), lines, {}, {}, True
    )
    assert list(panels_of(table)) == ["rotations", "plain"]
    assert {style_of_row.colour for style_of_row in styles_of(table).values()} >= {
        style.SWEEP[0][0],
        style.PALETTE[0][0],
    }


def test_a_legend_that_begins_with_the_first_row_coordinate_keeps_one_panel(planned, toy_store):
    legend = "{model} {rotations.max_degrees}"
    layout = f'{{of: robustness, rows: [model, rotations.max_degrees], legend: "{legend}"}}'
    plan = planned(CLAIMS + f"report:\n  - {layout}\n")
    (table,) = build.tables(plan, toy_store(plan, outcomes))
    (axes,) = draw.draw([table]).axes
    assert "linear 90" in [text.get_text() for text in draw.draw([table]).legends[0].get_texts()]
    assert len(axes.lines) == 6
