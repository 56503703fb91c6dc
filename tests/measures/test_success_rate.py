"""Matrices that one can count, on pairs whose final distances are written down."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

import pytest
import torch
from columns import filled
from pair_examples import FirstPixels, of_pairs
from shown import index, outcomes, shown
from torch import Tensor, nn

from invspec.data import Examples
from invspec.errors import InvspecError
from invspec.measures.success_rate import SuccessByClass, SuccessRate
from invspec.registry.methods import make
from invspec.scoring import pairs

NAN = float("nan")
K = 3
# sources 0 to 3 have class 0, 0, 1, 2; source 1 is misclassified; targets 4 to 6 have class 0, 1, 2
CLASSES = torch.tensor([0, 0, 1, 2, 0, 1, 2])
ENDS = [(0, 5), (0, 6), (1, 5), (1, 6), (2, 4), (2, 6), (3, 4), (3, 5)]
REACHED = [True, False, False, False, True, True, False, True]
MODEL = FirstPixels(K)


def images() -> Tensor:
    """One hot in the first K pixels, as the model reads them; image 1 looks like class 2."""
    x = torch.zeros(len(CLASSES), 1, 2, 2)
    x.flatten(1)[torch.arange(len(CLASSES)), CLASSES] = 1
    x[1] = x[6]
    return x


def attacked(reached: list[bool] = REACHED) -> Examples:
    """Each final image is 0.02 from its target where it was reached, else 0.05, in linf."""
    x = images()
    x_adv = torch.stack([x[target] for _, target in ENDS])
    x_adv[:, 0, 1, 1] = torch.tensor(reached).float() * -0.03 + 0.05
    return of_pairs(MODEL, x, CLASSES, ENDS, x_adv)


def rate(measure: SuccessRate, examples: Examples) -> float:
    (row,) = shown(measure.score(MODEL, examples))
    return row.value


LINF = SuccessRate(distance="linf")


def test_the_matrix_has_targets_down_and_sources_across() -> None:
    score = LINF.score(MODEL, attacked())
    #                         column 0: source 0 alone; 1: source 2; 2: source 3
    expected = torch.tensor([[NAN, 1.0, 0.0], [1.0, NAN, 1.0], [0.0, 1.0, NAN]])
    torch.testing.assert_close(score.tensors["matrix"], expected, equal_nan=True)
    assert shown(score)[0].value == pytest.approx(4 / 6)
    assert shown(score)[0].n == 3


def test_published_counts_misclassified_sources_as_successes() -> None:
    score = LINF.model_copy(update={"compat": "published"}).score(MODEL, attacked())
    expected = torch.tensor([[NAN, 1.0, 0.0], [1.0, NAN, 1.0], [0.5, 1.0, NAN]])
    torch.testing.assert_close(score.tensors["matrix"], expected, equal_nan=True)
    assert shown(score)[0].value == pytest.approx(4.5 / 6)
    assert shown(score)[0].n == 4


def test_all_pairs_count_by_their_own_success() -> None:
    every = LINF.model_copy(update={"eligible": "all"})
    expected = torch.tensor([[NAN, 1.0, 0.0], [0.5, NAN, 1.0], [0.0, 1.0, NAN]])
    torch.testing.assert_close(
        every.score(MODEL, attacked()).tensors["matrix"], expected, equal_nan=True
    )
    assert rate(every, attacked()) == pytest.approx(3.5 / 6)
    assert rate(every.model_copy(update={"average": "pairs"}), attacked()) == pytest.approx(4 / 8)


def test_a_distance_of_exactly_the_threshold_is_no_success() -> None:
    assert (
        rate(LINF.model_copy(update={"max_distance": torch.tensor(0.02).item()}), attacked()) == 0
    )


@pytest.mark.parametrize("average", ["cells", "pairs"])
@pytest.mark.parametrize("compat", ["published", "none"])
def test_the_mean_of_the_outcomes_is_the_rate_whatever_the_weights(
    average: str, compat: str
) -> None:
    measure = LINF.model_copy(update={"average": average, "compat": compat, "eligible": "all"})
    score = measure.score(MODEL, attacked())
    assert index(score).tolist() == [0, 1, 2, 3]
    assert outcomes(score).double().mean().item() == pytest.approx(shown(score)[0].value, rel=1e-6)


def test_with_equal_weights_an_outcome_is_the_share_of_a_sources_targets() -> None:
    assert outcomes(LINF.score(MODEL, attacked())).tolist() == pytest.approx([0.5, 1.0, 0.5])


@pytest.mark.parametrize("outcome", [True, False])
def test_equal_outcomes_stay_equal_whatever_the_weights(outcome: bool) -> None:
    score = LINF.model_copy(update={"eligible": "all"}).score(
        MODEL, attacked([outcome] * len(ENDS))
    )
    assert outcomes(score).tolist() == [outcome] * 4
    (row,) = shown(score)
    assert row.value == outcome
    assert 0 <= row.low < row.high <= 1  # four sources leave doubt


class OnlySlices(Mapping[str, Tensor]):
    """Tensors that refuse to be read whole, and remember how many rows they gave at a time."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self.tensors, self.most = tensors, 0

    def rows(self, name: str, start: int, stop: int) -> Tensor:
        found = self.tensors[name][start:stop]
        self.most = max(self.most, len(found))
        return found

    def __getitem__(self, name: str) -> Tensor:
        raise AssertionError(f"all of {name} was read")

    def __iter__(self) -> Iterator[str]:
        return iter(self.tensors)

    def __len__(self) -> int:
        return len(self.tensors)


def test_final_images_are_read_a_batch_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = attacked()
    tensors = OnlySlices(whole.tensors)
    expected = rate(LINF, whole)
    monkeypatch.setattr(pairs, "BATCH_SIZE", 3)
    assert rate(LINF, Examples(whole.clean, whole.judged, tensors)) == expected
    assert tensors.most == 3


def test_it_is_refused_where_no_source_is_correct() -> None:
    wrong = attacked()
    judged = {**vars(wrong.judged), "prediction": (wrong.judged.y + 1) % K}
    none = Examples(wrong.clean, filled(judged), wrong.tensors)
    with pytest.raises(InvspecError, match="none of 8 pairs is eligible") as problem:
        LINF.score(MODEL, none)
    assert "eligible: all" in problem.value.hint
    assert rate(LINF.model_copy(update={"compat": "published"}), none) == 1


def test_a_class_without_a_logit_is_refused() -> None:
    with pytest.raises(InvspecError, match="class 2, but the model has 2 logits"):
        LINF.model_copy(update={"eligible": "all"}).score(FirstPixels(2), attacked())


def test_a_smoke_run_needs_no_weights_and_no_trained_net() -> None:
    measure = make("measure", "success_rate", {})
    assert measure == SuccessRate(distance="lpips_alex", max_distance=0.03)
    assert measure.smoke() == SuccessRate(distance="laidlaw_self", eligible="all")
    assert LINF.smoke().distance == "linf"


def test_empty_cells_are_left_out_of_the_mean() -> None:
    whole = attacked()
    rows = torch.tensor([0, 4, 5])
    some = Examples(
        whole.clean.take(rows),
        filled({name: column[rows] for name, column in vars(whole.judged).items()}),
        {"x_adv": whole.x_adv[rows]},
    )
    score = LINF.score(nn.Sequential(MODEL), some)
    assert shown(score)[0].value == 1
    assert [bool(cell.isnan()) for cell in itertools.chain(*score.tensors["matrix"])].count(
        False
    ) == 3


def test_each_entry_of_the_matrix_has_a_row() -> None:
    score = SuccessByClass(distance="linf").score(MODEL, attacked())
    # of the two sources of class 0, the misclassified one is left out
    found = {
        row.where["classes"]: one.value for row, one in zip(score.rows, shown(score), strict=True)
    }
    assert found == {"0 to 1": 1, "0 to 2": 0, "1 to 0": 1, "1 to 2": 1, "2 to 0": 0, "2 to 1": 1}


def test_an_entry_of_the_matrix_without_pairs_has_no_row() -> None:
    pair = of_pairs(MODEL, images(), CLASSES, [(0, 5)], images()[5:6])
    (row,) = SuccessByClass(distance="linf").score(MODEL, pair).rows
    assert row.where == {"classes": "0 to 1"}
