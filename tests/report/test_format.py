import pytest

from invspec.analysis.estimator import Summary
from invspec.report.format import (
    MINUS,
    decimal,
    duration,
    measured,
    merged_labels,
    value_and_margin,
)
from invspec.scoring.rows import estimated


def test_repeated_labels_are_left_blank(tables):
    (accuracy, _) = tables()
    assert merged_labels(accuracy) == [["rotations", "0"], ["", "180"], ["plain", ""]]


def test_zero_is_never_negative():
    assert decimal(-0.0001) == "0.000"
    assert decimal(-0.5) == "\N{MINUS SIGN}0.500"


def test_numbers_other_than_shares_show_two_digits_of_their_margin(tables):
    def outcomes(coords):
        return [estimated(12.3456, 11.9, 12.8, 10)] if coords["seed"] == 0 else None

    (accuracy, _) = tables(by=outcomes)
    assert value_and_margin(accuracy.numbers[0], accuracy.decimals) == ("12.35", "±0.45*")


def test_counts_have_no_decimals_and_rounding_errors_are_scientific() -> None:
    assert value_and_margin(Summary(1270.0, 1270.0, 1270.0, 9, 1, 1), 3) == ("1,270", "")
    assert value_and_margin(Summary(0.5, 0.5, 0.5, 9, 1, 1), 3) == ("0.500", "")
    assert measured(-3.2e-14) == f"{MINUS}3e{MINUS}14"
    assert measured(4e-4) == decimal(4e-14) == "0.000"


def test_a_number_that_would_round_to_zero_is_scientific() -> None:
    tiny, minus = 4.6e-6, MINUS
    assert value_and_margin(Summary(tiny, tiny - 2e-7, tiny, 9, 1, 1), 3) == (
        f"5e{minus}06",
        f"±2e{minus}07",
    )
    assert value_and_margin(Summary(tiny, tiny, tiny, 9, 1, 1), 3) == (f"5e{minus}06", "")
    assert value_and_margin(Summary(tiny, 0.0, 0.02, 9, 1, 1), 3) == ("0.000", "±0.020")
    assert value_and_margin(Summary(0.0, 0.0, 1e-4, 9, 1, 1), 3) == ("0.000", "±0.000")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.31, "0.3 s"),
        (41.4, "41 s"),
        (59.7, "1 min 0 s"),
        (310, "5 min 10 s"),
        (7380, "2 h 3 min"),
        (129_600, "36 h 0 min"),
    ],
)
def test_durations_are_printed_as_people_say_them(seconds, text):
    assert duration(seconds) == text
