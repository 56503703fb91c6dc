"""Training in bfloat16 and TF32: for the model, and with attacks that need float32."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from recipes import Recording, Resumed, convolutional, grey, trained, weights
from torch import Tensor, backends, nn

from invspec.attacks.pgd import PGD
from invspec.attacks.ppgd import PPGD
from invspec.data import Batch
from invspec.defences.adversarial_training import AdversarialTraining
from invspec.defences.avg import AVG
from invspec.defences.standard import Standard
from invspec.errors import InvspecError
from invspec.execution.determinism import reproducible
from invspec.kinds import Attack
from invspec.models.stdcnn import StdCNN
from invspec.ops.draws import Stream
from invspec.training.precision import InPrecision, products

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


@pytest.mark.parametrize("precision", ["float32", "tf32", "bfloat16"])
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


# ─ TF32 ─


def in_tf32() -> bool:
    """Whether a GPU would multiply in TF32 now."""
    return bool(backends.cuda.matmul.allow_tf32 and backends.cudnn.allow_tf32)


class Asking(nn.Linear):
    """Notes forward and backward whether a GPU would multiply in TF32."""

    def __init__(self) -> None:
        super().__init__(64, 3)
        self.answers: list[bool] = []

    def forward(self, input: Tensor) -> Tensor:
        self.answers.append(in_tf32())
        logits = super().forward(input)
        logits.register_hook(lambda gradient: self.answers.append(in_tf32()))
        return logits


@pytest.fixture
def float32() -> Iterator[None]:
    """The switches as a run sets them."""
    with reproducible(torch.device("cpu")):
        yield


@pytest.mark.usefixtures("float32")
@pytest.mark.parametrize(
    ("precision", "expected"), [("float32", False), ("tf32", True), ("bfloat16", False)]
)
def test_tf32_is_on_forward_and_backward_and_off_afterwards(precision: str, expected: bool) -> None:
    net = Asking()
    defence = Standard(epochs=1, batch_size=16, precision=precision)  # pyright: ignore[reportArgumentType]
    trained(defence, grey(), nn.Sequential(nn.Flatten(), net))
    assert net.answers == [expected] * 6  # three updates
    assert not in_tf32()


@pytest.mark.usefixtures("float32")
def test_tf32_is_off_after_a_training_that_fails() -> None:
    with pytest.raises(InvspecError, match="the loss is nan"):
        trained(
            Standard(epochs=2, batch_size=8, lr=1e38, precision="tf32"), grey(), convolutional()
        )
    assert not in_tf32()


@pytest.mark.usefixtures("float32")
@pytest.mark.parametrize(
    "attack", [PPGD(steps=1), PGD(eps=0.02, steps=1)], ids=["needs_float32", "other"]
)
def test_inner_attacks_that_need_float32_are_kept_from_tf32(attack: Attack) -> None:
    model, answers = convolutional(), set[bool]()
    model[2].register_forward_hook(lambda module, inputs, output: answers.add(in_tf32()))
    defence = AdversarialTraining(attack=attack, precision="tf32")
    batch = Batch(torch.rand(4, 1, 8, 8), torch.tensor([0, 1, 2, 0]), torch.arange(4))
    with products("tf32"):
        defence.prepare(defence.proxy(model).train(), batch, 0.5, Stream("key"))
        assert in_tf32()
    assert answers == {not attack.needs_float32}


def test_on_a_cpu_tf32_gives_the_bits_of_float32_under_another_key() -> None:
    low, full = (LOW.model_copy(update={"precision": name}) for name in ("tf32", "float32"))
    found = (weights(trained(defence, grey(), convolutional())) for defence in (low, full))
    assert torch.equal(*found)
    assert low.identity != full.identity


def test_no_training_starts_with_its_precision_open() -> None:
    with pytest.raises(AssertionError, match="a plan chooses the precision"):
        trained(Standard(epochs=1, precision="auto"), grey(), convolutional())
