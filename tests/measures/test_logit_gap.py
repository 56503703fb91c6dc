"""Gaps that one can count, of a net whose logits are its first two pixels."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from columns import filled
from pair_examples import FirstPixels, of_pairs
from shown import Shown, shown
from torch import Tensor

from invspec.data import Examples
from invspec.errors import InvspecError
from invspec.measures.logit_gap import LogitGap

MODEL = FirstPixels(2)
X = torch.tensor([[0.5, 0.25, 0.5], [0.75, 0.0, 0.5], [0.25, 0.5, 0.5]]).view(3, 1, 1, 3)
EXACT = torch.tensor(
    [[0.5 + 1e-10, 0.25, 2.0], [1.5, 0.0, -0.5], [-0.25, -0.125, 0.5]],
    dtype=torch.float64,
).view(3, 1, 1, 3)


def examples(exact: Tensor = EXACT, ends: list[tuple[int, int]] | None = None) -> Examples:
    """Images 0, 1 and 2, each a source; x_adv is exact, rounded."""
    found = of_pairs(
        MODEL, X, torch.tensor([0, 0, 1]), ends or [(0, 2), (1, 2), (2, 0)], exact.float()
    )
    return replace(found, tensors={**found.tensors, "exact": exact})


def rows(of: Examples | None = None, **fields: float) -> dict[str, Shown]:
    score = LogitGap(**fields).score(MODEL, of or examples())
    return {str(row.where["quantity"]): row for row in shown(score)}


def values(of: Examples | None = None, **fields: float) -> dict[str, float]:
    return {name: row.value for name, row in rows(of, **fields).items()}


def test_gaps_are_the_largest_difference_of_a_logit_in_float64() -> None:
    found = values()
    assert found["exact"] == pytest.approx((1e-10 + 0.75 + 0.625) / 3)
    assert found["largest_exact"] == pytest.approx(0.75)
    tiny = values(examples(EXACT[:1], [(0, 2)]))
    assert (tiny["exact"], tiny["largest_exact"]) == pytest.approx((1e-10, 1e-10), rel=1e-5)


def test_rounding_to_float32_has_rows_of_its_own() -> None:
    assert values(examples(EXACT[:1], [(0, 2)]))["float32"] == 0  # 1e-10 is lost beside 0.5
    moved = examples(EXACT.clone())
    moved = replace(moved, tensors={**moved.tensors, "x_adv": EXACT.float() + 0.125})
    assert values(moved)["largest_float32"] == pytest.approx(0.875)
    assert values(moved)["largest_exact"] == pytest.approx(0.75)


def test_clipping_may_close_a_gap_open_one_or_change_the_label() -> None:
    found = values()
    assert found["clipped"] == pytest.approx((1e-10 + 0.25 + 0.5) / 3)
    assert found["largest_clipped"] == pytest.approx(0.5)
    assert found["argmax_changed_by_clipping"] == pytest.approx(
        1 / 3
    )  # (-0.25, -0.125) becomes (0, 0)


def test_pixels_outside_of_their_bounds_are_counted_but_for_rounding() -> None:
    assert values()["outside"] == pytest.approx((1 + 2 + 2) / 9)
    beyond = EXACT.clamp(0, 1)
    beyond[0, 0, 0, 2] = 1 + 1e-7
    assert values(examples(beyond))["outside"] == 0
    assert values(examples(beyond), tolerance=1e-8)["outside"] == pytest.approx(1 / 9)


def test_intervals_are_over_sources_and_the_largest_has_none() -> None:
    found = rows(examples(ends=[(0, 2), (0, 2), (2, 0)]))
    assert {row.n for row in found.values()} == {2}
    largest = found["largest_exact"]
    assert (largest.low, largest.high) == (largest.value, largest.value)
    assert found["exact"].low < found["exact"].value < found["exact"].high


def test_gaps_that_are_all_0_are_certain() -> None:
    found = rows(examples(X.double()))
    assert [(found[name].low, found[name].high) for name in ("exact", "float32", "clipped")] == [
        (0, 0)
    ] * 3
    assert found["outside"].high > 0


def test_single_examples_are_their_own_units() -> None:
    paired = examples()
    judged = {
        name: column
        for name, column in vars(paired.judged).items()
        if name in ("index", "y", "prediction")
    }
    alone = replace(paired, judged=filled(judged))
    assert values(alone) == values()
    assert rows(alone)["exact"].n == 3


def test_an_attack_without_exact_images_is_refused() -> None:
    with pytest.raises(InvspecError, match="stores no unrounded images"):
        rows(replace(examples(), tensors={"x_adv": EXACT.float()}))
