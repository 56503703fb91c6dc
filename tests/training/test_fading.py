"""Labels that fade with the perturbation."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from invspec.data import Batch
from invspec.training.fading import fade_labels

CLASSES = 4


def batches() -> tuple[Batch, Batch]:
    x = torch.rand(5, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    y, index = torch.tensor([0, 1, 2, 3, 0]), torch.arange(5)
    return Batch(x, y, index), Batch(x + 0.1, y, index)


def net() -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(4, CLASSES))


def test_the_weight_is_left_on_the_label_and_the_rest_is_spread_over_all_classes() -> None:
    clean, attacked = batches()
    weights = torch.tensor([1.0, 0.75, 0.5, 0.25, 0.0])
    faded = fade_labels(net(), clean, attacked, lambda *_: weights)
    expected = torch.zeros(5, CLASSES)
    for row, (label, weight) in enumerate(zip(clean.y.tolist(), weights.tolist(), strict=True)):
        expected[row] = (1 - weight) / CLASSES
        expected[row, label] += weight
    torch.testing.assert_close(faded.y, expected)
    torch.testing.assert_close(faded.y.sum(1), torch.ones(5))


def test_the_images_are_the_attacked_ones() -> None:
    clean, attacked = batches()
    faded = fade_labels(net(), clean, attacked, lambda *_: torch.ones(5))
    assert faded.x is attacked.x
    assert torch.equal(faded.index, attacked.index)


def test_the_weight_is_computed_from_both_images_on_the_frozen_net_in_eval_mode() -> None:
    clean, attacked = batches()
    model = net().train()

    def weight_of(net: nn.Module, x: Tensor, x_adv: Tensor) -> Tensor:
        assert net is model
        assert x is clean.x
        assert x_adv is attacked.x
        assert not any(module.training for module in net.modules())
        assert not any(weight.requires_grad for weight in net.parameters())
        return net(x_adv).softmax(1)[:, 0]

    faded = fade_labels(model, clean, attacked, weight_of)
    assert not faded.y.requires_grad
    assert all(module.training for module in model.modules())
    assert all(weight.requires_grad for weight in model.parameters())
