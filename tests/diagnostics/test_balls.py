import pytest
import torch
from attack_toys import Toy

from invspec.attacks.fab import FAB
from invspec.attacks.identity import Identity
from invspec.attacks.msd import MSD
from invspec.attacks.pgd import PGD
from invspec.attacks.square import Square
from invspec.attacks.union_max import UnionMax
from invspec.diagnostics.balls import ball_of, balls_of, covers, has_ball, is_in_pixels
from invspec.kinds import Attack

BOX = (0.0, 1.0)


def test_a_ball_has_the_norm_and_radius_of_the_attack() -> None:
    ball = ball_of(PGD(eps=0.1, norm="l2"), Toy(), BOX)
    assert (ball.norm, ball.eps, ball.bounds, ball.unit) == ("l2", 0.1, BOX, None)


def test_a_standardised_ball_is_measured_in_the_units_of_the_net() -> None:
    model = Toy()
    ball = ball_of(PGD(eps=0.1, eps_space="standardised"), model, BOX)
    assert torch.equal(ball.unit.flatten(), model.pixel_std)


@pytest.mark.parametrize("attack", [Identity(), PGD(eps=0), FAB()], ids=["none", "0", "minimal"])
def test_an_attack_without_a_radius_has_no_ball(attack: Attack) -> None:
    assert not has_ball(attack)


def test_a_union_is_searched_in_its_first_ball_and_judged_by_all() -> None:
    assert ball_of(MSD(), Toy(), BOX).norm == "l1"
    assert [ball.norm for ball in balls_of(MSD(), Toy())] == ["l1", "l2", "linf"]
    assert [ball.norm for ball in balls_of(UnionMax(), Toy())] == ["linf", "l2", "l1"]


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (Square(eps=0.1), True),
        (Square(eps=0.2), True),
        (Square(eps=0.05), False),
        (PGD(eps=0.1, norm="l2"), False),
        (PGD(eps=0.1, eps_space="standardised"), False),
        (Identity(), False),
        (UnionMax(attacks=(PGD(eps=0.1), PGD(eps=1, norm="l2"))), True),
    ],
    ids=["equal", "larger", "smaller", "l2", "standardised", "none", "union"],
)
def test_an_attack_covers_another_if_it_searches_its_ball(other: Attack, expected: bool) -> None:
    assert covers(other, PGD(eps=0.1)) is expected


def test_a_union_is_covered_by_attacks_in_all_of_its_balls_alone() -> None:
    union = UnionMax(attacks=(PGD(eps=0.1), PGD(eps=1, norm="l2")))
    assert covers(union, union)
    assert not covers(PGD(eps=0.1), union)


def test_standardised_balls_differ_between_nets() -> None:
    assert is_in_pixels(PGD())
    assert not is_in_pixels(PGD(eps_space="standardised"))
