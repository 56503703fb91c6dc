import csv
import io
import json

import numpy as np
import pytest

from invspec.analysis import coordinates, readings
from invspec.data import Row
from invspec.errors import SpecError
from invspec.ops.stats import Outcomes, Resampler, wilson
from invspec.report import provenance, table
from invspec.report import text as terminal
from invspec.report.export import csv_text, json_text, report
from invspec.tasks import Perturb

SPEC = """
title: Toy
seeds: [0, 1]
datasets: {digits: {}}
models: {linear: {}, lenet: {}}
defences:
  rotations: {use: rotation_augmentation, max_degrees: {sweep: [0, 180]}}
  plain: {use: standard}
attacks:
  none: {use: identity}
  pgd: {use: pgd_kamath, eps: {sweep: [0, 8/255, 0.1]}}
measures:
  accuracy: {of: none}
  robustness: {use: rate_of_invariance, of: pgd}
train:
  - {dataset: digits, model: [linear, lenet], defence: [rotations, plain]}
"""


def half(coords):
    return np.arange(100) < 50


def written(layout):
    return SPEC + f"report:\n  - {layout}\n"


@pytest.fixture
def tables(planned, toy_store):
    def built(text=SPEC, outcomes=half):
        whole = planned(text)
        return table.tables(whole, toy_store(whole, outcomes))

    return built


def test_the_columns_are_what_the_attack_sweeps_and_the_rows_what_else_varies(tables):
    accuracy, robustness = tables()
    assert (robustness.columns, robustness.across) == ("pgd.eps", (0, 8 / 255, 0.1))
    assert robustness.rows == ("model", "defence", "rotations.max_degrees")
    assert (accuracy.columns, accuracy.across) == ("model", ("linear", "lenet"))
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


def test_a_table_says_what_its_measure_is(tables):
    (_, robustness) = tables()
    assert robustness.title == "robustness under pgd"
    assert (
        robustness.about
        == "share of examples whose predicted label stays, whatever their true label"
    )


def test_several_seeds_have_the_crossed_bootstrap_interval(tables):
    def outcomes(coords):
        return np.arange(100) < (60 if coords["seed"] else 50)

    number = tables(outcomes=outcomes)[0].lines[0].numbers[0]
    each = [np.arange(100) < right for right in (50, 60)]
    (expected,) = Resampler().all_means([Outcomes(each, [np.arange(100)] * 2, [0, 1])])
    own_draws = 0.01  # half an example of each outcome, drawn for each number anew
    assert number.value == pytest.approx(0.55)
    assert (number.low, number.high) == pytest.approx(expected.interval(), abs=own_draws)
    assert (number.n, number.seeds, number.partial) == (100, 2, False)


def test_one_seed_keeps_the_interval_of_its_row_and_says_that_others_are_missing(tables):
    number = (
        tables(outcomes=lambda coords: None if coords["seed"] else half(coords))[0]
        .lines[0]
        .numbers[0]
    )
    assert (number.low, number.high) == pytest.approx(wilson(0.5, 100))
    assert (number.seeds, number.asked, number.partial) == (1, 2, True)
    assert table.parts(number, 3) == ("0.500", "±0.096*")


def test_a_missing_cell_is_a_dot_where_it_would_stand(tables):
    (accuracy, _) = tables(
        outcomes=lambda coords: None if coords["model"] == "lenet" else half(coords)
    )
    assert accuracy.lines[0].numbers[1] is None
    assert table.parts(accuracy.lines[0].numbers[1], 3) == ("·", "")


def test_an_empty_store_gives_tables_of_dots(tables):
    for one in tables(outcomes=lambda coords: None):
        assert one.numbers == []
        assert table.caption(one).startswith("nothing computed yet")


def test_the_rows_of_a_measure_become_rows_of_the_table_even_where_a_cell_is_missing(tables):
    def outcomes(coords):
        if coords["model"] == "lenet":
            return None
        return [
            Row(share, 10, share, share, {"statistic": name})
            for name, share in (("mean", 0.2), ("median", 0.4))
        ]

    (accuracy, _) = tables(outcomes=outcomes)
    assert accuracy.rows[-1] == "accuracy.statistic"
    assert [line.labels[-1] for line in accuracy.lines] == ["mean", "median"] * 3
    assert [line.numbers[1] for line in accuracy.lines] == [None] * 6
    assert [line.numbers[0].value for line in accuracy.lines[:2]] == [0.2, 0.4]


def test_labels_that_repeat_are_left_blank(tables):
    (accuracy, _) = tables()
    assert table.merged(accuracy) == [["rotations", "0"], ["", "180"], ["plain", ""]]


# ─ layouts ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_layout_of_the_spec_replaces_the_default(tables):
    text = written(
        "{of: robustness, title: Mine, at: {model: linear, pgd.eps: 8/255}, columns: defence}"
    )
    (one,) = tables(text)
    assert (one.title, one.rows, one.across) == (
        "Mine",
        ("rotations.max_degrees",),
        ("rotations", "plain"),
    )
    assert "pgd.eps 8/255" in table.caption(one)


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        ("{of: robustnes}", ["report.0.of: no measure", "did you mean robustness?"]),
        ("{of: accuracy, at: {pgd.eps: 0}}", ["report.0.at.pgd.eps: no coordinate"]),
        (
            "{of: robustness, at: {pgd.eps: 0.3}}",
            ["nothing is measured at pgd.eps 0.3", "0, 8/255, 0.1"],
        ),
        (
            "{of: robustness, rows: [modle]}",
            ["report.0.rows.0: no coordinate", "did you mean model?"],
        ),
        ("{of: robustness, columns: pgd.step}", ["report.0.columns: no coordinate"]),
        (
            "{of: robustness, rows: [model, defence]}",
            [
                "report.0: rows and columns do not tell these apart: rotations.max_degrees (0, 180)",
                "to rows",
            ],
        ),
    ],
)
def test_a_layout_that_does_not_fit_is_refused_with_its_place_and_a_hint(planned, layout, expected):
    with pytest.raises(SpecError) as caught:
        table.check(planned(written(layout)))
    assert str(caught.value).startswith("toy.yaml:18: ")
    for part in expected:
        assert part in str(caught.value)


def test_default_layouts_fit(planned):
    whole = planned(SPEC)
    table.check(whole)
    assert [layout.of for layout in table.layouts(whole)] == whole.coordinates()["measure"]


# ─ texts ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (8 / 255, "8/255"),
        (0.2, "0.2"),
        (60.0, "60"),
        (0, "0"),
        (True, "true"),
        (None, ""),
        ("gcnn", "gcnn"),
        (1e-9, "1e-09"),
    ],
)
def test_coordinates_read_as_people_write_them(value, text):
    assert coordinates.shown(value) == text


def test_no_zero_is_negative():
    assert table.plain(-0.0001) == "0.000"
    assert table.plain(-0.5) == "\N{MINUS SIGN}0.500"


def test_numbers_beyond_shares_show_two_digits_of_their_uncertainty(tables):
    def outcomes(coords):
        return [Row(12.3456, 10, 11.9, 12.8)] if coords["seed"] == 0 else None

    (accuracy, _) = tables(outcomes=outcomes)
    assert table.parts(accuracy.numbers[0], accuracy.decimals) == ("12.35", "±0.45*")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.31, "0.3 s"), (59.7, "1 min 0 s"), (310, "5 min 10 s"), (7380, "2 h 3 min")],
)
def test_durations_read_as_people_say_them(seconds, text):
    assert provenance.duration(seconds) == text


# ─ the long form ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_csv_has_a_line_a_cell_with_its_cost_and_key(planned, toy_store):
    whole = planned(SPEC)
    store = toy_store(whole, lambda coords: None if coords["seed"] else half(coords))
    lines = list(csv.DictReader(io.StringIO(csv_text(report(whole, store), store))))
    assert len(lines) == len(whole.cells)
    attacked = next(line for line in lines if line["pgd.eps"] == "0.1")
    assert (attacked["value"], attacked["n"], attacked["forwards"]) == ("0.5", "100", "40.0")
    assert (attacked["seconds_train"], attacked["seconds_perturb"], len(attacked["key"])) == (
        "60.0",
        "5.0",
        40,
    )
    missing = next(line for line in lines if line["seed"] == "1")
    assert (missing["value"], missing["seconds_score"], len(missing["key"])) == ("", "", 40)


def test_json_holds_verdicts_cells_and_provenance(planned, toy_store):
    claim = "{says: it, value: {measure: accuracy, at: {model: linear, defence: plain}}, expect: {value: {above: 0.1}}}"
    whole = planned(SPEC + f"claims:\n  - {claim}\n")
    store = toy_store(whole, half)
    read = json.loads(json_text(report(whole, store), store))
    assert [one["outcome"] for one in read["claims"]] == ["holds"]
    assert read["claims"][0]["below"] is None
    assert len(read["cells"]) == len(whole.cells)
    assert read["provenance"]["done"] == read["provenance"]["tasks"]
    assert read["provenance"]["command"] == "invspec run toy.yaml"


CHECKED = "results do not depend on batch size (checked)"
SPLIT, LATE = "logits change when a batch is split", "torch was imported before invspec"


@pytest.mark.parametrize(
    ("promises", "said"),
    [
        (["promised"], CHECKED),
        (["promised", f"not promised: {SPLIT}"], f"batch size may change last bits: {SPLIT}"),
        (
            [f"not promised: {LATE}", f"not promised: {SPLIT}"],
            f"batch size may change last bits: {SPLIT}; {LATE}",
        ),
        (["promised", None], ""),
        ([None], ""),
    ],
)
def test_the_foot_says_once_whether_batch_size_matters(
    planned, toy_store, monkeypatch, promises, said
):
    whole = planned(SPEC)
    store, made = toy_store(whole, half), toy_store.made

    def older(self, task):
        """Promises by turns; None is from before there was a check."""
        facts = made(self, task)
        if "bits" in facts:
            turn = [other for other in whole.tasks if isinstance(other, Perturb)].index(task)
            facts["bits"] = promises[turn % len(promises)]
        return {name: value for name, value in facts.items() if value is not None}

    monkeypatch.setattr(toy_store, "made", older)
    reported = report(whole, store)
    assert reported.provenance.bits == said
    lines = terminal.provenance_lines(reported.provenance)
    assert lines.count(said) == (said != "")
    assert "" not in lines
    assert json.loads(json_text(reported, store))["provenance"]["bits"] == said


def test_the_command_repeats_scale_and_settings(tmp_path):
    from invspec.spec import overlay

    path = tmp_path / "toy.yaml"
    path.write_text(SPEC + "scales:\n  small: {seeds: [0]}\n")
    assert provenance.command(overlay.load(path)) == f"invspec run {path}"
    small = overlay.load(path, scale="small", settings=["attacks.pgd.steps=10"]).smoke()
    asked = "--scale small --set attacks.pgd.steps=10 --smoke"
    assert (provenance.command(small), small.name) == (
        f"invspec run {path} {asked}",
        "toy-small-smoke",
    )


def test_a_count_stands_without_decimals_and_what_rounding_left_with_its_power_of_ten() -> None:
    assert table.parts(readings.Number(1270.0, 1270.0, 1270.0, 9, 1, 1), 3) == ("1,270", "")
    assert table.parts(readings.Number(0.5, 0.5, 0.5, 9, 1, 1), 3) == ("0.500", "")
    assert table.measured(-3.2e-14) == f"{table.MINUS}3e{table.MINUS}14"
    assert table.measured(4e-4) == table.plain(4e-14) == "0.000"


def test_a_number_that_its_decimals_would_leave_nothing_of_has_its_power_of_ten() -> None:
    minus, tiny = table.MINUS, 4.6e-6
    assert table.parts(readings.Number(tiny, tiny - 2e-7, tiny, 9, 1, 1), 3) == (
        f"5e{minus}06",
        f"±2e{minus}07",
    )
    assert table.parts(readings.Number(tiny, tiny, tiny, 9, 1, 1), 3) == (f"5e{minus}06", "")
    assert table.parts(readings.Number(tiny, 0.0, 0.02, 9, 1, 1), 3) == ("0.000", "±0.020")
    assert table.parts(readings.Number(0.0, 0.0, 1e-4, 9, 1, 1), 3) == ("0.000", "±0.000")
