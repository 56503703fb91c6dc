from itertools import pairwise

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from report_toys import CLAIMS, PAIR, drawn, outcomes

from invspec.report import build
from invspec.report.figures import draw
from invspec.scoring.rows import estimated


def test_a_profile_draws_the_numbers_of_the_table(toy):
    _, robustness = build.tables(*toy)
    first, second = draw.draw([robustness]).axes[:2]
    assert first.lines[0].get_ydata().tolist() == [0.8, 0.5, 0.2]
    assert first.lines[0].get_xdata().tolist() == [0, 0.1, 0.2]
    # The second training is missing.
    assert np.isnan(second.lines[1].get_ydata()).all()
    assert first.get_ylim() == (0, 1)
    assert first.get_xlabel() == "pgd eps (pixels in [0, 1])"


def test_columns_that_are_not_numbers_become_dots(toy):
    accuracy, _ = build.tables(*toy)
    (axes,) = draw.draw([accuracy]).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["linear", "lenet"]


def test_a_legend_uses_the_text_of_its_layout(pair):
    left, right = draw.draw(pair).axes
    assert [text.get_text() for text in left.get_legend().get_texts()] == ["0/0", "90/0", "180/0"]
    assert [text.get_text() for text in right.get_legend().get_texts()] == [
        "linear 0",
        "linear 90",
        "linear 180",
    ]


MANY_NAMES = (
    "nuisance",
    "logits",
    "other",
    "model_keeps",
    "model_keeps_shown",
    "readable",
    "oracle_accuracy",
)


@pytest.mark.parametrize(
    ("names", "slanted"), [(["logits", "other"], False), (list(MANY_NAMES), True)]
)
def test_tick_labels_that_would_touch_are_slanted(laid, names, slanted):
    rows = [estimated(0.5, 0.4, 0.6, 9, quantity=name) for name in names]
    layout = "{of: success, rows: [model, defence], columns: success.quantity}"
    figure = drawn(*laid(layout, rows=lambda coords: rows))
    FigureCanvasAgg(figure).draw()
    labels = figure.axes[0].get_xticklabels()
    assert [label.get_text() for label in labels] == names
    assert {label.get_rotation() > 0 for label in labels} == {slanted}
    boxes = [label.get_window_extent() for label in labels]
    assert slanted or all(left.x1 < right.x0 for left, right in pairwise(boxes))


@pytest.mark.parametrize("step", [1, 0.1])
def test_a_long_axis_of_integers_has_ticks_only_at_integers(laid, step):
    rows = [estimated(0.5, 0.4, 0.6, 9, epoch=step * k) for k in range(1, 16)]
    layout = "{of: success, rows: [model, defence], columns: success.epoch}"
    (axes, *_) = drawn(*laid(layout, rows=lambda coords: rows)).axes
    assert 3 < len(axes.get_xticks()) < 10
    assert all(tick == int(tick) for tick in axes.get_xticks()) == (step == 1)


def test_a_single_number_needs_no_figure(planned, toy_store):
    one = CLAIMS + "report:\n  - {of: accuracy, at: {model: linear, rotations.max_degrees: 0}}\n"
    plan = planned(one)
    (table,) = build.tables(plan, toy_store(plan, outcomes))
    assert len(table.numbers) == 1
    assert draw.draw([table]) is None
    assert draw.inline([table], "f") is None


def test_axes_of_small_shares_start_at_0(planned, toy_store):
    plan = planned(CLAIMS + PAIR % "{rotations.max_degrees}")
    store = toy_store(plan, lambda coords: np.arange(1000) < 20)
    robustness, accuracy = build.tables(plan, store)
    assert not robustness.is_share
    first, second = draw.draw([robustness, accuracy]).axes[:2]
    for axes in (first, second):
        low, high = axes.get_ylim()
        assert low == 0
        assert 0.02 < high < 0.1
