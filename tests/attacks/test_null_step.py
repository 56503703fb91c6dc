from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from invspec.attacks.null_step import NullStep, Step
from invspec.data import Batch
from invspec.kinds import TwoLayer
from invspec.layers.two_layer import Weights, flattened
from invspec.models.two_layer import TwoLayerNet
from invspec.ops.draws import PerExample
from invspec.ops.nullspace import project_held
from invspec.registry.methods import make

N, D, H, K = 24, 64, 40, 4
EXACT: list[Any] = ["row_bound", "global_bound", "active_set", 50.0]


def trained() -> TwoLayerNet:
    """Random weights; a step to a random target flips a third of the hidden units."""
    net = TwoLayerNet(D, H, K)
    generator = torch.Generator().manual_seed(0)
    for weight in net.parameters():
        weight.data = torch.randn(weight.shape, generator=generator) / weight.shape[-1] ** 0.5
    return net.requires_grad_(False)


def pairs(dtype: torch.dtype = torch.float64) -> Batch:
    generator = torch.Generator().manual_seed(1)
    x, x_target = (torch.rand(N, 1, 8, 8, generator=generator).to(dtype) for _ in range(2))
    return Batch(x, torch.zeros(N, dtype=torch.int64), torch.arange(N), x_target=x_target)


def steps(attack: NullStep) -> list[Step]:
    weights = Weights.of(trained())
    return [
        attack.step(weights, x, x_target) for x, x_target in zip(*flattened(pairs()), strict=True)
    ]


def moved(attack: NullStep, batch: Batch | None = None) -> Tensor:
    batch = batch or pairs()
    return attack.perturb(trained(), batch, PerExample("task", batch.index)).x_adv


def logits(x: Tensor) -> Tensor:
    return trained()(x)


@pytest.mark.parametrize("constraint", EXACT, ids=str)
def test_where_no_relu_flips_the_logits_stay(constraint: Any) -> None:
    attack = NullStep(constraint=constraint, clamp=False)
    assert {step.sign_flips for step in steps(attack)} == {0}
    torch.testing.assert_close(logits(moved(attack)), logits(pairs().x), rtol=0, atol=1e-9)
    assert ((moved(attack) - pairs().x).flatten(1).norm(dim=1) > 0.1).all()


def test_with_constraint_effective_some_relus_flip_and_the_logits_change() -> None:
    attack = NullStep(constraint="effective", clamp=False)
    assert min(step.sign_flips for step in steps(attack)) > 0
    assert ((logits(moved(attack)) - logits(pairs().x)).abs().amax(1) > 1e-3).all()


@pytest.mark.parametrize("constraint", ["effective", 0.1])
def test_below_alpha_max_the_logits_stay_whichever_units_are_held(constraint: Any) -> None:
    for x, x_target, step in zip(
        *flattened(pairs()), steps(NullStep(constraint=constraint)), strict=True
    ):
        assert 0 < step.alpha_max < 1
        weights = Weights.of(trained())
        before, at = weights.logits(x), weights.logits(x + 0.999 * step.alpha_max * step.v_p)
        assert (at - before).abs().max() < 1e-12
        assert (x_target - x - step.v_p).norm() < (x_target - x).norm()


def test_the_largest_alpha_is_exact_whichever_units_are_held() -> None:
    attack = NullStep(constraint="effective", alpha="largest", clamp=False)
    torch.testing.assert_close(logits(moved(attack)), logits(pairs().x), rtol=0, atol=1e-9)
    assert all(step.alpha_max * (1 - 2e-12) < step.alpha < step.alpha_max for step in steps(attack))
    assert {step.sign_flips for step in steps(attack)} == {0}
    weights = Weights.of(trained())
    for x, step in zip(flattened(pairs())[0], steps(attack), strict=True):
        before, after = (weights.w1 @ image + weights.b1 > 0 for image in (x, x + step.delta))
        assert torch.equal(before, after)
    assert all(step.alpha == 1 for step in steps(NullStep(constraint=50.0, alpha="largest")))


def test_flips_of_held_units_are_counted_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a projection that claims to hold units but returns v itself."""

    def forgetful(
        v: Tensor, always: Tensor, rows: Tensor, to_hold: Any
    ) -> tuple[Tensor, Tensor, Tensor]:
        _, held, basis = project_held(v, always, rows, to_hold)
        return v, held, basis

    monkeypatch.setattr("invspec.attacks.null_step.project_held", forgetful)
    assert min(step.sign_flips for step in steps(NullStep(constraint=50.0))) > 0


def test_a_held_unit_at_0_that_flips_by_rounding_is_not_counted() -> None:
    weights = Weights.of(trained())
    (x, *_), targets = flattened(pairs())
    at_kink = replace(weights, b1=weights.b1.clone())
    # every pre-activation is 0
    at_kink.b1[:] = -(weights.w1 @ x)
    for x_target in targets:
        assert NullStep(constraint=50.0).step(at_kink, x, x_target).sign_flips == 0


def test_the_active_set_holds_the_fewest_rows_and_ends_nearest_of_all_exact_constraints() -> None:
    by_constraint = {constraint: steps(NullStep(constraint=constraint)) for constraint in EXACT}
    for constraint in EXACT:
        for best, other in zip(by_constraint["active_set"], by_constraint[constraint], strict=True):
            assert best.rows <= other.rows
            assert best.v_p.norm() >= other.v_p.norm() - 1e-12
    rows = {
        constraint: sum(step.rows for step in by_constraint[constraint]) for constraint in EXACT
    }
    assert rows["active_set"] < rows["row_bound"] <= rows["global_bound"] <= rows[50.0]


def test_a_threshold_of_0_equals_constraint_effective() -> None:
    assert torch.equal(moved(NullStep(constraint=0)), moved(NullStep(constraint="effective")))


def test_half_a_step_is_half_of_v_p() -> None:
    full, half = (moved(NullStep(constraint=50.0, alpha=alpha, clamp=False)) for alpha in (1, 0.5))
    torch.testing.assert_close(half - pairs().x, (full - pairs().x) / 2)


def test_a_smaller_alpha_needs_fewer_rows() -> None:
    full, part = (sum(step.rows for step in steps(NullStep(alpha=alpha))) for alpha in (1, 0.2))
    assert part < full


def test_in_the_null_space_of_the_first_layer_no_activation_changes_at_any_distance() -> None:
    weights = Weights.of(trained())
    for x, step in zip(flattened(pairs())[0], steps(NullStep(constraint=50.0)), strict=True):
        a, far = weights.w1 @ x + weights.b1, weights.w1 @ (x + 1e3 * step.v_p) + weights.b1
        assert (far - a).abs().max() <= 1e-12 * weights.w1.norm() * 1e3 * step.v_p.norm()
        assert step.alpha_max == float("inf")
        assert D - step.rank == D - H


def test_the_bound_holds_for_the_largest_entry_but_not_for_the_sum() -> None:
    weights = Weights.of(trained())
    x, x_target = flattened(pairs())
    for d in x_target - x:
        bound = weights.w1.abs().max() * d.norm(1)
        assert (weights.w1 @ d).abs().max() <= bound
    wide = weights.w1.abs().max() * torch.ones(H, D, dtype=torch.float64)
    # the paper's inequality fails
    assert (wide @ torch.ones(D, dtype=torch.float64)).norm(1) > wide.max() * D


def test_clamp_only_clamps_pixels() -> None:
    free, clamped = (
        moved(NullStep(constraint="effective", clamp=False)),
        moved(NullStep(constraint="effective")),
    )
    assert free.min() < 0
    assert torch.equal(free.clamp(0, 1), clamped)


def test_only_a_clamped_step_stays_within_the_bounds() -> None:
    assert NullStep(clamp=False).leaves_bounds
    assert not NullStep(clamp=True).leaves_bounds


def test_it_runs_no_model_and_computes_in_float64_for_float32_images() -> None:
    batch, attack = pairs(torch.float32), NullStep()
    result = attack.perturb(trained(), batch, PerExample("task", batch.index))
    assert result.x_adv.dtype == torch.float32
    assert int(result.forwards.sum() + result.backwards.sum()) == 0
    precise = replace(batch, x=batch.x.double(), x_target=batch.targets.double())
    assert torch.equal(result.x_adv, moved(attack, precise).float())


def test_it_needs_two_layers_and_a_target() -> None:
    assert NullStep().accepts is TwoLayer
    assert isinstance(trained(), TwoLayer)
    assert NullStep().wants_target


@pytest.mark.parametrize(
    "settings", [{"constraint": -1}, {"constraint": "none"}, {"alpha": 0}, {"alpha": "most"}]
)
def test_invalid_fields_are_refused(settings: Any) -> None:
    with pytest.raises(ValidationError):
        NullStep(**settings)


def test_thresholds_and_names_may_share_a_sweep() -> None:
    made = [
        make("attack", "null_step", {"constraint": value})
        for value in ("effective", "3/10", 1, "active_set")
    ]
    assert [attack.identity["fields"]["constraint"] for attack in made] == [
        "effective",
        0.3,
        1.0,
        "active_set",
    ]
