"""Which images of a batch are attacked, on which net, and how far they move."""

from __future__ import annotations

import pytest
import torch
from recipes import images
from torch import Tensor, nn

from invspec.attacks.pgd import PGD
from invspec.data import Batch, Perturbed
from invspec.kinds import Attack
from invspec.ops.draws import Draws, Stream
from invspec.training.adversarial import attack_batch, perturbed, ramped
from invspec.training.precision import InPrecision


class Brighter(Attack):
    """Adds 0.5, and looks at the net."""

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        assert not any(module.training for module in model.modules())
        assert not any(weight.requires_grad for weight in model.parameters())
        return Perturbed.costing(batch.x + 0.5, 0, 0)


def net() -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(64, 3)).train()


def test_the_attack_sees_a_frozen_net_in_eval_mode_which_is_restored() -> None:
    model, batch = net(), images(4)
    assert torch.equal(perturbed(Brighter(), model, batch, Stream("key")), batch.x + 0.5)
    assert all(module.training for module in model.modules())
    assert all(weight.requires_grad for weight in model.parameters())


def test_an_attack_that_needs_float32_searches_on_the_net_without_autocast() -> None:
    dtypes: list[torch.dtype] = []

    class Reads(Attack):
        def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
            model(batch.x)
            return Perturbed.costing(batch.x, 1, 0)

    class Delicate(Reads):
        needs_float32 = True

    inner = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    inner.register_forward_hook(lambda _, __, output: dtypes.append(output.dtype))
    for attack in (Reads(), Delicate()):
        perturbed(attack, InPrecision(inner, "bfloat16"), images(4), Stream("key"))
    assert dtypes == [torch.bfloat16, torch.float32]


@pytest.mark.parametrize(
    ("progress", "ramp", "share"),
    [(0.0, 0.5, 0.0), (0.125, 0.5, 0.25), (0.5, 0.5, 1.0), (0.9, 0.5, 1.0), (0.0, 0.0, 1.0)],
)
def test_perturbations_grow_linearly_up_to_the_end_of_the_ramp(
    progress: float, ramp: float, share: float
) -> None:
    x, x_adv = torch.zeros(2, 1, 2, 2), torch.ones(2, 1, 2, 2)
    assert torch.equal(ramped(x, x_adv, progress, ramp), torch.full_like(x, share))


@pytest.mark.parametrize(
    ("clean", "first"), [(0.0, 0), (0.24, 1), (0.5, 2), (0.8, 3), (0.9, 4), (1.0, 4)]
)
def test_the_first_images_stay_clean_by_a_share_rounded_to_whole_images(
    clean: float, first: int
) -> None:
    batch = images(4)
    result = attack_batch(Brighter(), net(), batch, 0.5, Stream("key"), clean=clean)
    assert torch.equal(result.x[:first], batch.x[:first])
    assert torch.equal(result.x[first:], batch.x[first:] + 0.5)
    assert torch.equal(result.y, batch.y)
    assert torch.equal(result.index, batch.index)


def test_a_batch_that_is_all_clean_is_not_attacked() -> None:
    class Refuses(Attack):
        def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
            raise AssertionError("attacked")

    batch = images(4)
    assert attack_batch(Refuses(), net(), batch, 0.5, Stream("key"), clean=1.0) is batch


def test_attacked_images_move_by_their_part_of_the_ramp() -> None:
    batch = images(4)
    result = attack_batch(Brighter(), net(), batch, 0.1, Stream("key"), ramp=0.4, clean=0.5)
    torch.testing.assert_close(result.x[2:] - batch.x[2:], torch.full((2, 1, 8, 8), 0.125))


def test_the_rest_of_a_batch_is_attacked_with_its_own_labels() -> None:
    """One step of PGD on a linear net follows the sign of the gradient of the label's own loss."""
    model, batch = nn.Sequential(nn.Flatten(), nn.Linear(64, 3)), images(6)
    attack = PGD(eps=0.01, steps=1, step_size=0.01, random_start=False)
    result = attack_batch(attack, model, batch, 0.5, Stream("key"), clean=0.5)
    weight = model.get_parameter("1.weight").detach()
    probs = model(batch.x).softmax(1).detach()
    gradient: Tensor = (probs - nn.functional.one_hot(batch.y, 3)) @ weight
    expected = (batch.x + 0.01 * gradient.sign().view_as(batch.x)).clamp(0, 1)
    torch.testing.assert_close(result.x[3:], expected[3:])
