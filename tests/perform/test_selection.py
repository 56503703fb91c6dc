"""The worst of several results, and the results for some examples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from columns import filled
from torch import Tensor
from workbench import Memory, perturb, score, toys, train

from invspec.attacks.pgd import PGD
from invspec.data import JUDGED, Examples, TensorSplit, rows_of
from invspec.errors import InvspecError
from invspec.measures.accuracy import Accuracy
from invspec.measures.boundary_distance import BoundaryDistance
from invspec.measures.fooling_rate import FoolingRate
from invspec.measures.top_k_error import TopKError
from invspec.perform.score import examples
from invspec.perform.selection import Worst, correct_in_all, taken, worst
from invspec.tasks import Score

N = 6


def attacked(place: int, **columns: Any) -> Examples:
    """Results of an attack whose images all have the value place / 10."""
    clean = TensorSplit(torch.zeros(N, 1, 2, 2), torch.zeros(N, dtype=torch.int64))
    judged = filled(
        {"index": torch.arange(N), "forwards": torch.full((N,), place + 1)}
        | {name: torch.as_tensor(column) for name, column in columns.items()}
    )
    tensors = {name: getattr(judged, name) for name in JUDGED}
    tensors["x_adv"] = torch.full((N, 1, 2, 2), place / 10)
    tensors["path"] = torch.zeros(N, 3, 1, 2, 2)
    return Examples(clean, judged, tensors, {"eps": 0.3, "steps": place})


FIRST, SECOND, THIRD = (attacked(place) for place in range(3))
DAMAGES = torch.tensor([[3, 1, 1, 0, 2, 5], [1, 3, 1, 1, 2, 4], [2, 2, 3, 1, 1, 6]])
CHOICE = torch.tensor([0, 1, 2, 1, 0, 2])


@pytest.fixture
def joined() -> Examples:
    return worst([FIRST, SECOND, THIRD], list(DAMAGES))


def test_each_example_has_the_result_of_most_damage_or_the_first_of_equals(
    joined: Examples,
) -> None:
    assert joined.x_adv[:, 0, 0, 0].mul(10).round().long().equal(CHOICE)


def test_passes_are_those_of_all_attacks(joined: Examples) -> None:
    assert joined.judged.forwards.tolist() == [1 + 2 + 3] * N


def test_settings_are_those_that_all_attacks_share(joined: Examples) -> None:
    assert joined.settings == {"eps": 0.3}


def test_a_path_is_left_out(joined: Examples) -> None:
    assert joined.has("x_adv")
    assert not joined.has("path")
    with pytest.raises(KeyError):
        joined.tensors["path"]


@pytest.mark.parametrize("rows", [(0, N), (1, 4), (3, 3)])
def test_rows_are_those_of_the_whole(joined: Examples, rows: tuple[int, int]) -> None:
    for name in ("x_adv", "forwards", "confidence_adv"):
        assert rows_of(joined.tensors, name, *rows).equal(joined.tensors[name][slice(*rows)])


def test_attacks_on_different_examples_are_a_broken_promise() -> None:
    moved = replace(SECOND, judged=replace(SECOND.judged, index=torch.arange(N) + 1))
    with pytest.raises(AssertionError, match="different examples"):
        worst([FIRST, moved], [torch.zeros(N)] * 2)


# ─ the results for some examples ──────────────────────────────────────────────────────────────


class Counting(dict[str, Tensor]):
    """Tensors that record which of their rows are read."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__(tensors)
        self.read: list[tuple[int, int]] = []

    def rows(self, name: str, start: int, stop: int) -> Tensor:
        self.read.append((start, stop))
        return self[name][start:stop]


def test_examples_that_are_taken_keep_their_index_and_their_images() -> None:
    positions = torch.tensor([1, 2, 5])
    some = taken(worst([FIRST, SECOND, THIRD], list(DAMAGES)), positions)
    assert some.judged.index.tolist() == some.clean.index.tolist() == [1, 2, 5]
    assert some.x_adv.equal(worst([FIRST, SECOND, THIRD], list(DAMAGES)).x_adv[positions])
    for start, stop in ((0, 3), (1, 2), (2, 2)):
        assert rows_of(some.tensors, "x_adv", start, stop).equal(some.x_adv[start:stop])


def test_rows_are_read_between_the_first_and_the_last_alone() -> None:
    tensors = Counting(FIRST.tensors)
    some = taken(replace(FIRST, tensors=tensors), torch.tensor([0, 2, 4, 5]))
    rows_of(some.tensors, "x_adv", 1, 3)
    assert tensors.read == [(2, 5)]


def test_only_examples_that_all_nets_classify_correctly_count() -> None:
    nets = [attacked(0, prediction=[0, 0, 1, 0, 1, 0]), attacked(1, prediction=[0, 1, 1, 0, 0, 0])]
    assert correct_in_all(nets).tolist() == [0, 3, 5]


def test_without_such_an_example_there_is_nothing_to_score() -> None:
    nets = [attacked(0, prediction=[1, 1, 1, 0, 0, 0]), attacked(1, prediction=[0, 0, 0, 1, 1, 1])]
    with pytest.raises(InvspecError, match="none of 6 examples is classified correctly by all 2"):
        correct_in_all(nets)


# ─ scores ─────────────────────────────────────────────────────────────────────────────────────

ATTACKS = (toys.Shift(by=0.5), toys.Noise(), PGD(eps=0.03, steps=5))


def outcomes(task: Score) -> Tensor:
    rows = Memory().load(task).rows
    assert rows is not None
    (row,) = rows
    assert row.outcomes is not None
    return row.outcomes.values


@pytest.mark.parametrize("parts", [[(0, 20)], [(0, 7), (7, 20)]])
def test_an_example_is_right_if_it_withstands_every_attack(parts: list[tuple[int, int]]) -> None:
    each = [tuple(perturb(attack, part=part) for part in parts) for attack in ATTACKS]
    together = outcomes(Score(Accuracy(), tuple(each), worst_of=3))
    alone = torch.stack([outcomes(Score(Accuracy(), (one,))) for one in each])
    assert together.equal(alone.all(0))
    assert 0 < together.sum() < alone.sum(1).min()


def test_an_example_is_fooled_if_any_attack_changes_its_label() -> None:
    each = tuple((perturb(attack),) for attack in ATTACKS)
    together = outcomes(Score(FoolingRate(), each, worst_of=3))
    alone = torch.stack([outcomes(Score(FoolingRate(), (one,))) for one in each])
    assert together.equal(alone.any(0))


def test_a_label_is_missed_if_any_attack_takes_it_out_of_the_first_guesses() -> None:
    measure = TopKError(k=2)
    each = tuple((perturb(attack),) for attack in ATTACKS)
    together = outcomes(Score(measure, each, worst_of=3))
    alone = torch.stack([outcomes(Score(measure, (one,))) for one in each])
    assert together.equal(alone.any(0))


def test_of_images_beyond_the_boundary_the_nearest_counts() -> None:
    measure, trained = BoundaryDistance(norm="l2", among="all", failures="omit"), train(seed=2)
    each = tuple((perturb(attack, trained),) for attack in ATTACKS)
    runtime = Memory()
    results = [examples(parts, runtime) for parts in each]
    found = torch.stack([one.judged.changed | ~one.judged.correct for one in results])
    lengths = torch.stack([(one.judged.l2 * one.judged.correct).double() for one in results])
    nearest = lengths.where(found, torch.inf).amin(0)
    assert outcomes(Score(measure, each, worst_of=3)).equal(nearest[nearest.isfinite()])
    assert len(set(lengths.where(found, torch.inf).argmin(0).tolist())) > 1


def test_nets_are_compared_on_the_images_that_both_classify_correctly() -> None:
    nets = [perturb(ATTACKS[0], train(seed=seed)) for seed in (0, 2)]
    common = tuple((net,) for net in nets)
    results = [examples((net,), Memory()) for net in nets]
    known = results[0].judged.correct & results[1].judged.correct
    assert 0 < known.sum() < min(int(result.judged.correct.sum()) for result in results)
    for net, result in zip(nets, results, strict=True):
        task = replace(score(net, measure=FoolingRate()), correct_in=common)
        rows = Memory().load(task).rows
        assert rows is not None
        (row,) = rows
        assert row.outcomes is not None
        assert row.outcomes.index.equal(result.judged.index[known])
        assert row.outcomes.values.equal(result.judged.changed[known])


def test_tensors_of_a_mapping_are_counted() -> None:
    joined = Worst([FIRST.tensors, SECOND.tensors], torch.zeros(N, dtype=torch.int64))
    assert len(joined) == len(JUDGED) + 1
