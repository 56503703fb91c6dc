import numpy as np
from report_toys import CLAIMS, outcomes

from invspec.report import build
from invspec.report.figures import draw
from invspec.report.figures.planes import pareto_front

PLANE = """
report:
  - of: accuracy
    rows: [model, rotations.max_degrees]
    figure: plane
    against: {of: robustness, at: {pgd.eps: %s}}
"""


def test_a_plane_has_a_point_for_each_row(planned, toy_store):
    plan = planned(CLAIMS + PLANE % "0.1")
    (table,) = build.tables(plan, toy_store(plan, outcomes))
    (axes,) = draw.draw([table]).axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("accuracy", "robustness at pgd.eps 0.1")
    points = [line for line in axes.lines if line.get_marker() not in ("None", "")]
    # One of the six trainings is missing.
    assert [tuple(np.ravel(line.get_xydata())) for line in points] == [(0.8, 0.5)] * 5


def test_axes_of_shares_begin_at_0_and_are_in_per_cent_where_the_table_is(planned, toy_store):
    plan = planned(CLAIMS + PLANE % "0.1" + "    percent: true\n")
    (table,) = build.tables(plan, toy_store(plan, outcomes))
    (axes,) = draw.draw([table]).axes
    assert axes.get_xlim() == (0, 1)
    assert axes.get_ylim() == (0, 1)
    assert axes.xaxis.get_major_formatter()(0.8) == "80"


def test_a_dollar_sign_in_a_name_is_printed(planned, toy_store):
    plan = planned('names: {accuracy: "$\\\\frac{a}$ and $5"}\n' + CLAIMS + PLANE % "0.1")
    (table,) = build.tables(plan, toy_store(plan, outcomes))
    figure = draw.draw([table])
    figure.canvas.draw()
    assert not figure.axes[0].xaxis.label.get_parse_math()
    assert figure.axes[0].get_xlabel() == r"$\frac{a}$ and $5"


def test_the_pareto_front_holds_the_points_that_none_dominates():
    points = [(0, 3), (1, 2), (1, 1), (2, 0), (0.5, 1), (2, 0)]
    assert pareto_front(points) == [(0, 3), (1, 2), (2, 0)]
