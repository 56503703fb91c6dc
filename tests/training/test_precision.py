"""Training in bfloat16: inside the model alone, and with attacks that need float32."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from recipes import Recording, Resumed, convolutional, grey, trained, weights
from torch import Tensor, nn

from invspec.attacks.pgd import PGD
from invspec.attacks.ppgd import PPGD
from invspec.data import Batch
from invspec.defences.adversarial_training import AdversarialTraining
from invspec.defences.avg import AVG
from invspec.kinds import Attack
from invspec.models.stdcnn import StdCNN
from invspec.ops.draws import Stream
from invspec.training.precision import InPrecision

LOW = AdversarialTraining(
    epochs=3,
    batch_size=16,
    lr=0.01,
    precision="bfloat16",
    max_degrees=20,
    attack=PGD(eps=0.02, steps=2),
)


def test_bfloat16_is_inside_the_model_alone() -> None:
    dtypes: list[tuple[torch.dtype, torch.dtype]] = []

    class Watched(nn.Linear):
        def forward(self, input: Tensor) -> Tensor:
            logits = super().forward(input)
            dtypes.append((input.dtype, logits.dtype))
            return logits

    model = nn.Sequential(nn.Flatten(), Watched(64, 3))
    trained(LOW.model_copy(update={"epochs": 1}), grey(), model)
    logits = InPrecision(model, "bfloat16")(torch.rand(2, 1, 8, 8))
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    assert len(dtypes) == 3 * (2 + 1) + 1  # three updates, each after two steps of the attack
    assert {output for _, output in dtypes} == {torch.bfloat16}
    assert logits.dtype == torch.float32


@pytest.mark.parametrize(
    "attack", [PPGD(steps=1), PGD(eps=0.02, steps=1)], ids=["needs_float32", "other"]
)
@pytest.mark.parametrize("attacks", ["one", "several"])
def test_inner_attacks_that_need_float32_get_it_and_others_the_precision_of_the_training(
    attack: Attack, attacks: str
) -> None:
    model, dtypes = convolutional(), set[torch.dtype]()
    net = InPrecision(model, "bfloat16").train()
    model[2].register_forward_hook(lambda module, inputs, output: dtypes.add(output.dtype))
    defence = AdversarialTraining(attack=attack) if attacks == "one" else AVG(attacks=(attack,))
    x = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    batch = Batch(x, torch.tensor([0, 1, 2, 0]), torch.arange(4))
    defence.prepare(net, batch, 0.5, Stream("key"))
    assert dtypes == {torch.float32 if attack.needs_float32 else torch.bfloat16}
    assert net.training
    assert net.net.training


def test_bfloat16_learns_nearly_what_float32_learns() -> None:
    low, full = (
        weights(trained(LOW.model_copy(update={"precision": name}), grey(), convolutional()))
        for name in ("bfloat16", "float32")
    )
    start = weights(convolutional())
    assert not torch.equal(low, full)
    assert (low - full).norm() < 0.3 * (full - start).norm()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_resumed_training_ends_at_the_same_weights(precision: str) -> None:
    recipe, journal = LOW.model_copy(update={"precision": precision}), Recording()
    first, second = (weights(trained(recipe, grey(), convolutional(), journal)) for _ in range(2))
    resumed = weights(trained(recipe, grey(), convolutional(), Resumed(journal.states[0])))
    assert torch.equal(first, second)
    assert torch.equal(first, resumed)


def test_other_attributes_of_the_model_are_passed_on() -> None:
    model = StdCNN().build((1, 28, 28), 10)
    net = InPrecision(model, "bfloat16")
    assert torch.equal(net.pixel_std, model.pixel_std)
    with pytest.raises(AttributeError, match="encode"):
        _ = net.encode


def test_a_bijection_is_encoded_in_the_precision_of_the_training() -> None:
    dtypes: list[torch.dtype] = []

    class Halves(nn.Linear):
        def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
            code = self(x.flatten(1))
            dtypes.append(code.dtype)
            return code[:, :1], code[:, 1:]

    net: Any = InPrecision(Halves(4, 4), "bfloat16")
    semantic, nuisance = net.encode(torch.rand(2, 1, 2, 2))
    assert dtypes == [torch.bfloat16]
    assert (semantic.dtype, nuisance.dtype) == (torch.float32, torch.float32)
