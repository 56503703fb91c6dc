"""Common behaviour of DDN, FMN and DeepFool: misclassified sources, failures, refinement."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from minimal_norm_toys import CLASSES, attacked, batch_of, label, net
from torch import Tensor, nn

from invspec.attacks.ddn import DDN
from invspec.attacks.deepfool import DeepFool
from invspec.attacks.fmn import FMN
from invspec.data import Batch
from invspec.ops.norms import size
from invspec.registry.methods import make

SHORT: list[Any] = [
    DDN(steps=20),
    FMN(steps=20),
    FMN(steps=20, norm="linf"),
    FMN(steps=40, norm="l1"),
    FMN(steps=40, norm="l0"),
    DeepFool(),
    DeepFool(norm="linf"),
]
every_attack = pytest.mark.parametrize(
    "attack", SHORT, ids=lambda attack: f"{type(attack).__name__} {attack.norm}"
)


@every_attack
def test_misclassified_images_are_returned_unchanged(attack: Any) -> None:
    model, batch = net(), batch_of()
    wrong = label(model, batch.x) != batch.y
    result = attacked(attack, model, batch)
    assert wrong.any()
    assert torch.equal(result.x_adv[wrong], batch.x[wrong])
    assert set(result.forwards[wrong].tolist()) == {1}
    assert set(result.backwards[wrong].tolist()) == {0}


@every_attack
def test_all_other_images_change_their_prediction_from_the_true_or_predicted_label(
    attack: Any,
) -> None:
    model, batch = net(), batch_of()
    before, right = label(model, batch.x), label(model, batch.x) == batch.y
    assert (label(model, attacked(attack, model, batch).x_adv) != before)[right].all()
    from_predicted = attack.model_copy(update={"label": "predicted"})
    assert (label(model, attacked(from_predicted, model, batch).x_adv) != before).all()


@every_attack
def test_where_nothing_can_be_found_x_is_returned(attack: Any) -> None:
    def constant(x: Tensor) -> Tensor:
        return 0 * x.flatten(1)[:, :CLASSES] + torch.arange(CLASSES, 0, -1.0)

    class Constant(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return constant(x)

    batch = batch_of(8)
    batch = Batch(batch.x, torch.zeros(8, dtype=torch.int64), batch.index)
    assert torch.equal(attacked(attack, Constant(), batch).x_adv, batch.x)


@pytest.mark.parametrize(
    "attack", [DDN(steps=60, refine=0), FMN(steps=60, refine=0)], ids=["ddn", "fmn"]
)
def test_a_random_direction_replaces_a_vanished_gradient(attack: Any) -> None:
    """Logits that are constant within a distance of 0.5 from grey, and change beyond it."""

    class Plateau(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            beyond = torch.relu(size(x - 0.5, "l2") - 0.5)
            return torch.stack([torch.full_like(beyond, 0.1), beyond], dim=1)

    grey = Batch(torch.full((8, 1, 4, 4), 0.5), torch.zeros(8, dtype=torch.int64), torch.arange(8))
    result = attacked(attack, Plateau(), grey).x_adv
    assert (label(Plateau(), result) == 1).all()
    # each example draws its own direction
    assert size(result[:1] - result[1:2], "l2") > 0.1


@every_attack
def test_refinement_only_shortens_and_stays_adversarial(attack: Any) -> None:
    model, batch = net(), batch_of()
    raw, refined = (
        attacked(attack.model_copy(update={"refine": refine}), model, batch).x_adv
        for refine in (0, attack.refine)
    )
    assert (size(refined - batch.x, attack.norm) <= size(raw - batch.x, attack.norm)).all()
    assert torch.equal(label(model, raw) != batch.y, label(model, refined) != batch.y)


@pytest.mark.parametrize("attack", [FMN(steps=20), DDN(steps=20)], ids=["fmn", "ddn"])
def test_rivals_only_shorten_and_their_passes_are_counted(attack: Any) -> None:
    model, batch = net(), batch_of()
    alone, with_rivals = (
        attacked(attack.model_copy(update={"rivals": rivals, "refine": 0}), model, batch)
        for rivals in (0, 9)
    )
    assert (size(with_rivals.x_adv - batch.x, "l2") <= size(alone.x_adv - batch.x, "l2")).all()
    right = label(model, batch.x) == batch.y
    assert set(alone.forwards[right].tolist()) == {1 + 21}
    # only three of the nine rivals exist
    assert set(with_rivals.forwards[right].tolist()) == {1 + 1 + CLASSES * 21}
    assert set(with_rivals.backwards[right].tolist()) == {CLASSES * 20}


def test_the_cards_have_the_settings_of_the_papers() -> None:
    assert make("attack", "ddn", {}) == DDN(steps=100, init_eps=1, gamma=0.05, loss="ce", rivals=0)
    assert make("attack", "fmn", {"norm": "l0"}) == FMN(norm="l0", step_size=1, gamma=0.05)
    assert make("attack", "deepfool", {}) == DeepFool(
        norm="l2", overshoot=0.02, steps=50, candidates=10
    )
