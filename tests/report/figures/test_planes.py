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


def test_the_pareto_front_holds_the_points_that_none_dominates():
    points = [(0, 3), (1, 2), (1, 1), (2, 0), (0.5, 1), (2, 0)]
    assert pareto_front(points) == [(0, 3), (1, 2), (2, 0)]
