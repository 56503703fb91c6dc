from dataclasses import replace
from typing import Any, cast

import pytest
import torch
from linear_toys import linear, spread
from masks import attacked
from torch import Tensor

from invspec.attacks.fab import FAB
from invspec.attacks.fgsm import FGSM
from invspec.attacks.identity import Identity
from invspec.attacks.pgd import PGD
from invspec.attacks.square import Square
from invspec.data import Finding
from invspec.kinds import Attack, Check
from invspec.ops.draws import PerExample
from invspec.registry.methods import make

# it moves no image far enough, although the boundary is within eps
WEAK = PGD(eps=0.25, steps=1, step_size=1e-4, random_start=False)
CHECK = cast(Check, make("check", "transfer", {}))


def found(attack: Attack, *others: Tensor) -> Finding:
    model, split = linear(), spread(32)
    examples = replace(attacked(model, attack, split), others=others)
    return CHECK.examine(model, attack, examples, PerExample("check", split.index))


def moved(by: float) -> Tensor:
    """The images moved towards the boundary, as an attack on another net may do."""
    (batch,) = spread(32).batches(32)
    return batch.x + by * (0.5 - batch.x).sign()


def test_what_another_net_gives_away_is_a_warning() -> None:
    result = found(WEAK, moved(0.25))
    # 16 of 32 greys are within 0.25 of the boundary
    assert (result.status, result.measured.value, result.measured.n) == ("fails", 0.5, 32)
    assert not CHECK.gates
    assert result.reason == (
        "what the attack made on another net breaks 16 of the 32 images that withstood it here"
    )
    assert result.survivors is not None
    assert 0.3 < result.survivors < 0.5


def test_several_nets_count_together() -> None:
    first, second = moved(0.25), moved(0.25)
    first[:16], second[16:] = moved(0.0)[:16], moved(0.0)[16:]
    assert found(WEAK, first).measured.value == found(WEAK, second).measured.value == 0.25
    result = found(WEAK, first, second)
    assert result.measured.value == 0.5
    assert result.reason.startswith("what the attack made on 2 other nets breaks 16 of the 32 ")


def test_an_attack_at_its_optimum_loses_to_no_other_net() -> None:
    result = found(PGD(eps=0.25, steps=10), moved(0.25))
    assert (result.status, result.measured.value) == ("passes", 0.0)


def test_a_single_image_is_chance() -> None:
    x = moved(0.0)
    x[15] = moved(0.25)[15]
    result = found(WEAK, x)
    assert (result.status, result.measured.value) == ("passes", 1 / 32)


def test_without_other_nets_it_is_skipped() -> None:
    result = found(WEAK)
    assert (result.status, result.reason) == ("skipped", "the same attack runs on no other net")


@pytest.mark.parametrize(
    ("attack", "applies"),
    [
        (PGD(), True),
        (Square(), True),
        (FGSM(), True),
        (PGD(eps=0), False),
        (PGD(eps_space="standardised"), False),
        (FAB(), False),
        (Identity(), False),
    ],
    ids=["pgd", "square", "fgsm", "eps 0", "standardised", "minimal", "none"],
)
def test_it_applies_to_attacks_that_search_the_same_ball_on_all_nets(
    attack: Any, applies: bool
) -> None:
    assert CHECK.applies(attack) is applies


def test_the_images_of_other_nets_follow_the_chosen_ones() -> None:
    """Only correctly classified images count: the first half has wrong labels here."""
    model, split = linear(), spread(32)
    split = replace(split, y=torch.cat([1 - split.y[:16], split.y[16:]]))
    examples = replace(attacked(model, WEAK, split), others=(moved(0.25),))
    result = CHECK.examine(model, WEAK, examples, PerExample("check", split.index))
    assert (result.measured.n, result.measured.value) == (16, 0.5)
