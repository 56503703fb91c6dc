import pytest
import torch

from invspec.data import Interval
from invspec.diagnostics.findings import at_most, counted, share_of, skipped, survivors_of


def flags(true: int, n: int) -> torch.Tensor:
    return torch.arange(n) < true


def test_a_share_has_its_wilson_interval() -> None:
    measured = share_of(flags(0, 10))
    assert (measured.value, measured.n) == (0.0, 10)
    # 0.2775 is Wilson's upper end for 0 of 10
    assert (measured.low, measured.high) == (0.0, pytest.approx(0.2775, abs=1e-4))


def test_a_share_of_zero_images_is_unknown() -> None:
    assert share_of(flags(0, 0)) == Interval(0.0, 0.0, 1.0, 0)


@pytest.mark.parametrize(("true", "status"), [(0, "passes"), (2, "passes"), (3, "fails")])
def test_a_check_fails_only_if_the_interval_is_above_its_threshold(true: int, status: str) -> None:
    """Of 64 images, 3 have a lower end of 0.016; a share of 2, 0.031, has one of 0.0086."""
    finding = at_most(0.01, flags(true, 64), "reason", "hint")
    assert finding.status == status
    assert (finding.reason, finding.hint) == (("reason", "hint") if true == 3 else ("", ""))


@pytest.mark.parametrize("n", [1, 6, 17])
def test_a_single_image_of_a_few_fails_nothing(n: int) -> None:
    """Its share alone would be above: Wilson's lower end of 1 in 17 is 0.0105."""
    assert share_of(flags(1, n)).low > 0.01
    assert at_most(0.01, flags(1, n), "reason", "hint").status == "passes"
    assert at_most(0.01, flags(2, n + 1), "reason", "hint").status == "fails"


def test_a_threshold_of_0_allows_no_image() -> None:
    assert at_most(0.0, flags(1, 256), "", "").status == "fails"


def test_survivors_are_counted_by_the_lower_end() -> None:
    assert survivors_of(flags(0, 64)) == 0.0
    assert survivors_of(flags(64, 64)) == pytest.approx(0.943, abs=1e-3)
    assert survivors_of(flags(0, 0)) is None


def test_a_count_names_its_total() -> None:
    assert counted(flags(3, 64)) == "3 of 64 images"


def test_a_skipped_check_says_why() -> None:
    finding = skipped("pixels have no bounds")
    assert (finding.status, finding.reason) == ("skipped", "pixels have no bounds")
    assert finding.measured.n == 0
