"""What every check promises: a finding that says what it saw, and a net that is as it was."""

from __future__ import annotations

import math

import pytest
import torch
from check_toys import CHECKS, N, attack, check_of, deployed, examples, found, reordered

from invspec.ops.draws import PerExample

every_check = pytest.mark.parametrize("name", CHECKS)


@every_check
def test_a_finding_lies_within_its_interval_and_counts_images(name: str) -> None:
    measured = found(name).measured
    if not math.isnan(measured.value):
        assert measured.low <= measured.value <= measured.high
    assert 0 <= measured.n <= N


@every_check
def test_an_ordinary_net_passes(name: str) -> None:
    finding = found(name)
    assert finding.status != "fails", finding
    assert finding.status == "skipped" or not finding.reason


@every_check
def test_the_same_examples_give_the_same_finding(name: str) -> None:
    assert found(name) == found(name)


@every_check
def test_a_finding_does_not_use_the_global_generators(name: str) -> None:
    first = found(name)
    torch.manual_seed(99)
    before = torch.get_rng_state()
    assert found(name) == first
    assert torch.equal(torch.get_rng_state(), before)


@every_check
def test_the_order_of_the_examples_does_not_matter(name: str) -> None:
    check, model = check_of(name), deployed()
    used = attack() if check.about_attack else None
    seen = examples(model, used)
    other = reordered(seen, torch.arange(N).flip(0))
    first, second = (
        check.examine(model, used, these, PerExample("check", these.judged.index))
        for these in (seen, other)
    )
    assert first.status == second.status
    assert first.measured.n == second.measured.n
    # sums of float32 depend on the order
    assert first.measured.value == pytest.approx(second.measured.value, rel=1e-4, nan_ok=True)


@every_check
def test_the_net_is_left_as_it_was(name: str) -> None:
    model = deployed()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    found(name, model)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert not model.training
    assert all(weight.grad is None and not weight.requires_grad for weight in model.parameters())


@every_check
def test_checks_about_attacks_say_which_attacks_can_fail_them(name: str) -> None:
    check = check_of(name)
    assert isinstance(check.applies(attack()), bool)
    assert check.doubts in ("attacks", "everything")
    if not check.gates:
        assert check.doubts == "attacks"
