"""Every net that hides its gradients fails a gating check, and no honest net does."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from _pytest.mark.structures import ParameterSet
from masks import ATTACK, BROKEN, FACES, HONEST, MASKS, attacked, behind, failing, finding, images

FAST_HONEST = ("plain", "T 1e6", "log-softmax", "logits + 1e4", "16 levels, straight through")
FAST_BROKEN = ("noisy logits", "NaN off the grid", "dead", "batch statistics")


def some(names: Iterable[str], fast: tuple[str, ...]) -> list[ParameterSet]:
    """All names, of which those that are not fast are marked slow."""
    return [pytest.param(name, marks=() if name in fast else pytest.mark.slow) for name in names]


@pytest.mark.parametrize("name", FACES)
def test_a_face_that_misleads_pgd_fails_a_gating_check(name: str) -> None:
    assert failing(behind(FACES[name]), checks=("gradient", "logits", "unbounded", "gradient_true"))


@pytest.mark.slow
@pytest.mark.parametrize("name", FACES)
def test_pgd_takes_the_faces_for_robust(name: str) -> None:
    """Without checks, their robust accuracy would be reported as high."""
    correct = attacked(behind(FACES[name]), ATTACK, images()).judged.correct_adv
    assert correct.float().mean() > 0.7
    assert not attacked(behind(HONEST["plain"]), ATTACK, images()).judged.correct_adv.any()


@pytest.mark.slow
@pytest.mark.parametrize("name", MASKS)
def test_a_mask_fails_a_gating_check(name: str) -> None:
    assert failing(behind(MASKS[name]))


def test_a_net_without_a_graph_fails_although_no_attack_can_run_on_it() -> None:
    model = behind(lambda net, x: net(x.detach()))
    assert finding("gradient_true", model).status == "fails"
    assert finding("unbounded", model).status == "fails"


@pytest.mark.parametrize("name", some(BROKEN, FAST_BROKEN))
def test_a_net_that_is_no_function_is_named(name: str) -> None:
    mask, check = BROKEN[name]
    assert check in failing(behind(mask), checks=("repeatable", "finite", "alive"))


@pytest.mark.parametrize("name", some(HONEST, FAST_HONEST))
def test_an_honest_net_fails_no_gating_check(name: str) -> None:
    assert failing(behind(HONEST[name])) == set()
