import numpy as np
import pytest
from report_toys import half
from toy_specs import SWEEPS

from invspec.analysis.intervals import wilson
from invspec.analysis.resampling import Resampler
from invspec.ops.types import SHARES
from invspec.plan.layouts import layouts
from invspec.plan.validation.layouts import problems
from invspec.report.captions import caption
from invspec.report.format import value_and_margin
from invspec.scoring.rows import exact


def written(layout):
    return SWEEPS + f"report:\n  - {layout}\n"


def test_the_swept_attack_gives_the_columns_and_other_coordinates_the_rows(tables):
    accuracy, robustness = tables()
    assert (robustness.columns, robustness.column_values) == ("pgd.eps", (0, 8 / 255, 0.1))
    assert robustness.rows == ("model", "defence", "rotations.max_degrees")
    assert (accuracy.columns, accuracy.column_values) == ("model", ("linear", "lenet"))
    assert [line.labels for line in accuracy.lines] == [
        ("rotations", 0),
        ("rotations", 180),
        ("plain", None),
    ]


def test_headings_have_units(tables):
    (_, robustness) = tables()
    assert robustness.headings["pgd.eps"] == "pgd.eps (standardised pixels)"
    assert robustness.headings["rotations.max_degrees"] == "rotations.max_degrees (degrees)"
    assert robustness.headings["model"] == "model"


def test_a_table_has_the_summary_of_its_measure(tables):
    (_, robustness) = tables()
    assert robustness.title == "robustness under pgd"
    assert (
        robustness.summary
        == "share of examples whose predicted label is unchanged, whatever the true label"
    )


def test_several_seeds_have_an_interval_wider_than_that_of_their_examples(tables):
    def outcomes(coords):
        return np.arange(100) < (60 if coords["seed"] else 50)

    number = tables(by=outcomes)[0].lines[0].numbers[0]
    each = [np.arange(100) < right for right in (50, 60)]
    low, high = Resampler().means(each, [np.arange(100)] * 2, within=SHARES).interval()
    assert number.value == pytest.approx(0.55)
    assert number.low < low - 0.02
    assert number.high > high + 0.02
    assert (number.n, number.seeds, number.is_partial) == (100, 2, False)


def test_a_single_seed_keeps_the_interval_of_its_row_and_is_marked_as_partial(tables):
    (accuracy, _) = tables(by=lambda coords: None if coords["seed"] else half(coords))
    number = accuracy.lines[0].numbers[0]
    assert (number.low, number.high) == pytest.approx(wilson(0.5, 100))
    assert (number.seeds, number.planned_seeds, number.is_partial) == (1, 2, True)
    assert value_and_margin(number, 3) == ("0.500", "±0.096*")


def test_a_missing_cell_is_a_dot(tables):
    (accuracy, _) = tables(by=lambda coords: None if coords["model"] == "lenet" else half(coords))
    assert accuracy.lines[0].numbers[1] is None
    assert value_and_margin(accuracy.lines[0].numbers[1], 3) == ("·", "")


def test_rows_of_a_measure_are_rows_of_the_table_even_if_a_cell_is_missing(tables):
    def outcomes(coords):
        if coords["model"] == "lenet":
            return None
        return [
            exact(share, 10, statistic=name) for name, share in (("mean", 0.2), ("median", 0.4))
        ]

    (accuracy, _) = tables(by=outcomes)
    assert accuracy.rows[-1] == "accuracy.statistic"
    assert [line.labels[-1] for line in accuracy.lines] == ["mean", "median"] * 3
    assert [line.numbers[1] for line in accuracy.lines] == [None] * 6
    assert [line.numbers[0].value for line in accuracy.lines[:2]] == [0.2, 0.4]


def test_by_default_each_measure_has_a_layout_that_fits(planned):
    plan = planned(SWEEPS)
    assert not list(problems(plan))
    assert [layout.of for layout in layouts(plan)] == [("accuracy",), ("robustness",)]


def test_a_layout_of_the_spec_replaces_the_default(tables):
    text = written(
        "{of: robustness, title: Mine, at: {model: linear, pgd.eps: 8/255}, columns: defence}"
    )
    (table,) = tables(text)
    assert (table.title, table.rows) == ("Mine", ("rotations.max_degrees",))
    assert table.column_values == ("rotations", "plain")
    assert "pgd.eps 8/255" in caption(table)


TWO = """
title: Two
seeds: [0]
datasets: {digits: {}, more: {use: digits}}
models: {linear: {}}
defences: {plain: {use: standard}}
attacks: {none: {use: identity}}
measures: {accuracy: {of: none}, other: {use: accuracy, of: none}}
train:
  - {dataset: [digits, more], model: linear, defence: plain, measures: accuracy}
  - {dataset: more, model: linear, defence: plain, measures: other}
"""


def test_a_table_names_its_data_set_where_the_spec_has_several(tables):
    both, alone = tables(TWO + "report: [{of: accuracy}, {of: other}]")
    assert "dataset" in (*both.rows, both.columns)
    assert "dataset" not in caption(both)
    assert "dataset more" in caption(alone)


def test_a_table_of_the_only_data_set_does_not_name_it(tables):
    assert not any("dataset" in caption(table) for table in tables())
