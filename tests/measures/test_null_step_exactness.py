from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from columns import filled
from shown import Shown, shown

from invspec.attacks.nspgd import NSPGD
from invspec.attacks.null_step import NullStep
from invspec.data import Examples, TensorSplit
from invspec.errors import InvspecError
from invspec.kinds import Targets
from invspec.measures.null_step_exactness import NullStepExactness
from invspec.models.two_layer import TwoLayerNet
from invspec.ops.draws import PerExample
from invspec.perform.pairs import paired

N, D, H, K = 20, 64, 40, 4


def net() -> TwoLayerNet:
    found = TwoLayerNet(D, H, K)
    generator = torch.Generator().manual_seed(0)
    for weight in found.parameters():
        weight.data = torch.randn(weight.shape, generator=generator) / weight.shape[-1] ** 0.5
    return found.requires_grad_(False)


def examples(settings: Any) -> Examples:
    """Sources, all predicted as they are labelled but for one, with two targets each."""
    x = torch.rand(N, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    images = TensorSplit(x, torch.arange(N) % K)
    clean = paired(images, images, Targets(each=2), K)
    (batch,) = clean.batches(len(clean))
    prediction = torch.where(clean.source == 0, batch.y + 1, batch.y)
    judged = {"prediction": prediction, "y": batch.y, "source": clean.source}
    return Examples(clean, filled(judged), {}, settings)


def scored(**settings: Any) -> dict[str, Shown]:
    rows = shown(
        NullStepExactness().score(net(), examples(NullStep(**settings).identity["fields"]))
    )
    return {str(row.where["quantity"]): row for row in rows}


def test_each_quantity_has_a_row_over_correct_sources() -> None:
    found = scored()
    assert list(found) == [
        "rows",
        "null_dimension",
        "sign_flips",
        "exact",
        "logit_change",
        "largest_logit_change",
        "confidence_drop",
        "confidence_drop_clamped",
        "relative_distance",
        "alpha_max",
    ]
    assert {row.n for row in found.values()} == {N - 1}
    assert all(row.low <= row.value <= row.high for row in found.values())


def test_the_active_set_is_exact_until_it_is_clamped() -> None:
    found = {name: row.value for name, row in scored(constraint="active_set").items()}
    assert (found["sign_flips"], found["exact"], found["alpha_max"]) == (0, 1, 1)
    assert found["logit_change"] < 1e-12
    assert abs(found["confidence_drop"]) < 1e-12
    assert abs(found["confidence_drop_clamped"]) > 1e-6


def test_the_largest_change_is_exact() -> None:
    found, one = scored(constraint=0.3, clamp=False), examples({})
    (batch,) = one.clean.batches(len(one.clean))
    batch = batch.take(one.judged.prediction == one.judged.y)
    batch = replace(batch, x=batch.x.double(), x_target=batch.targets.double())
    attack = NullStep(constraint=0.3, clamp=False)
    x_adv = attack.perturb(net(), batch, PerExample("task", batch.index)).x_adv
    row, change = found["largest_logit_change"], (net()(x_adv) - net()(batch.x)).abs().max().item()
    assert row.value == row.low == row.high == pytest.approx(change, rel=1e-9)
    assert row.value > found["logit_change"].value


def test_the_largest_alpha_is_exact_to_the_last_pair() -> None:
    found = {
        name: row.value for name, row in scored(constraint="effective", alpha="largest").items()
    }
    assert (found["exact"], found["sign_flips"]) == (1, 0)
    assert found["largest_logit_change"] < 1e-9


def test_holding_more_is_more_exact_and_reaches_less_far() -> None:
    loose, tight = scored(constraint="effective"), scored(constraint=50.0)
    assert loose["rows"].value == K
    assert tight["rows"].value == K + H
    assert (loose["null_dimension"].value, tight["null_dimension"].value) == (D - K, D - H)
    for quantity in ("sign_flips", "logit_change"):
        assert loose[quantity].low > tight[quantity].high
    assert loose["relative_distance"].high < tight["relative_distance"].low
    assert loose["alpha_max"].value < tight["alpha_max"].value


@pytest.mark.parametrize("clamp", [True, False])
def test_the_numbers_are_those_of_the_images_that_the_attack_returns(clamp: bool) -> None:
    settings: dict[str, Any] = {"constraint": 0.1, "alpha": 0.7}
    found, one = scored(**settings), examples({})
    (batch,) = one.clean.batches(len(one.clean))
    batch = batch.take(one.judged.prediction == one.judged.y)
    x_adv = (
        NullStep(**settings, clamp=clamp)
        .perturb(net(), batch, PerExample("task", batch.index))
        .x_adv
    )
    before, after = (net()(x.double()).softmax(1) for x in (batch.x, x_adv))
    drop = before.amax(1) - after.gather(1, before.argmax(1)[:, None]).squeeze(1)
    name = "confidence_drop_clamped" if clamp else "confidence_drop"
    assert found[name].value == pytest.approx(drop.mean().item(), abs=1e-6)
    if not clamp:
        left = (x_adv - batch.targets).flatten(1).norm(dim=1) / (batch.x - batch.targets).flatten(
            1
        ).norm(dim=1)
        assert found["relative_distance"].value == pytest.approx(left.mean().item(), abs=1e-6)


def test_the_attacks_own_clamp_changes_nothing() -> None:
    assert scored(clamp=True) == scored(clamp=False)


def test_other_attacks_are_refused() -> None:
    with pytest.raises(InvspecError, match="expected attack null_step"):
        NullStepExactness().score(net(), examples(NSPGD().identity["fields"]))
