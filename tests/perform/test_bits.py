"""Batch size changes no bit of the nets here; a run says so where it does."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from workbench import Memory, perturb, toys, train

from invspec import cpu
from invspec.attacks.nspgd import NSPGD
from invspec.datasets.fake import Fake
from invspec.execution.runtime import StoreRuntime
from invspec.execution.store import Store
from invspec.execution.worker import perform
from invspec.kinds import Model, Sample, Targets
from invspec.models.firevnet import FiRevNet
from invspec.models.mlp import MLP
from invspec.models.preact_resnet18 import PreActResNet18
from invspec.models.stdcnn import StdCNN
from invspec.models.temperature import Temperature
from invspec.models.two_layer import TwoLayer
from invspec.perform import bits
from invspec.perform.proxies import Padded
from invspec.tasks import key

SHAPE, CPU = (1, 16, 16), torch.device("cpu")


class Centred(nn.Module):
    """Subtracts the batch's mean from the logits."""

    def forward(self, x: Tensor) -> Tensor:
        logits = x.flatten(1)[:, :3] ** 2
        return logits - logits.mean(0)


class Leaning(nn.Module):
    """An example's logits depend on it alone, its gradient on the whole batch."""

    def forward(self, x: Tensor) -> Tensor:
        logits = x.flatten(1)[:, :3]
        return logits + (logits - logits.detach()) * x.detach().mean()


class Constant(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.full((len(x), 3), torch.nan)


class Broken(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        raise ValueError("toy trouble\nand more")


def promise(net: nn.Module) -> str:
    return bits.promise(Padded(net), SHAPE, CPU)


@pytest.mark.parametrize(
    ("net", "expected"),
    [
        (Centred(), "not promised: logits change when a batch is split"),
        (Leaning(), "not promised: input gradients change when a batch is split"),
        (Constant(), "promised"),
        (Broken(), "not promised: the check failed with ValueError: toy trouble"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_net_that_depends_on_its_batch_is_not_promised(net: nn.Module, expected: str) -> None:
    assert promise(net) == expected


def test_nothing_is_promised_if_torch_was_imported_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "ensure_prepared", lambda: False)
    assert promise(Constant()) == "not promised: torch was imported before invspec"


def test_the_check_draws_no_random_numbers_and_leaves_gradients_alone() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(256, 3), nn.Dropout())  # in train mode
    before = torch.get_rng_state()
    assert promise(net) != bits.PROMISED
    assert torch.equal(torch.get_rng_state(), before)
    assert all(weights.grad is None for weights in net.parameters())


def pointwise() -> nn.Module:
    """1 x 1 convolutions, which torch computes by another library in small batches."""
    return nn.Sequential(
        nn.Conv2d(1, 7, 3), nn.ReLU(), nn.Conv2d(7, 9, 1), nn.Flatten(), nn.Linear(9 * 14 * 14, 3)
    )


def unaligned() -> nn.Module:
    """Matrices whose rows start at every alignment."""
    layers = [
        layer
        for a, b in pairwise((256, 50, 10, 5, 17, 3))
        for layer in (nn.Linear(a, b), nn.ReLU())
    ]
    return nn.Sequential(nn.Flatten(), *layers[:-1])


MODELS: dict[str, Model] = {
    "two_layer": TwoLayer(hidden=50),
    "stdcnn": StdCNN(),
    "resnet": PreActResNet18(width=8, mean=(0.5,), std=(0.3,)),
    "firevnet": FiRevNet(stages=2, blocks=1, width=8, factor_out=False),
    "temperature": Temperature(model=MLP(hidden=(50,))),
}


@pytest.mark.bits
@pytest.mark.parametrize(
    "net", [pointwise, unaligned, *MODELS], ids=lambda net: getattr(net, "__name__", net)
)
def test_batch_size_changes_no_bit_of_these_nets(net: Any) -> None:
    torch.manual_seed(0)
    built = net() if callable(net) else MODELS[net].deploy(MODELS[net].build(SHAPE, 10))
    for parameter in built.parameters():
        if parameter.dim() == 0:
            # a temperature that is not 1
            nn.init.constant_(parameter, 0.7)
    assert promise(built.eval()) == bits.PROMISED


@pytest.mark.bits
def test_batch_size_changes_no_bit_of_a_long_walk() -> None:
    trained = train(dataset=Fake(shape=SHAPE, train=64, test=40), model=StdCNN())
    walk = NSPGD(step_mode="fraction", clamp="input", backtracks=0, strict=True, steps=20)
    task = perturb(walk, trained, sample=Sample(targets=Targets(each=1)), part=(0, 40))
    one_batch, several = (Memory(size).load(task).tensors for size in (40, 7))
    assert [name for name in one_batch if not torch.equal(one_batch[name], several[name])] == []


def runtime_of(root: Path) -> StoreRuntime:
    return StoreRuntime(Store(root), CPU, 8, lambda done, total, numbers: None)


def test_made_says_whether_the_bits_of_an_attack_are_promised(tmp_path: Path) -> None:
    runtime, attack = runtime_of(tmp_path), perturb(toys.Shift())
    before = key(attack)
    for task in (attack.train, attack):
        assert perform(task, runtime)[0] == "done"
    assert runtime.store.made(attack)["bits"] == "promised"
    assert "bits" not in runtime.store.made(attack.train)
    assert before == key(attack) == runtime.store.folder(attack).name


def test_a_net_is_checked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[object] = []
    monkeypatch.setattr(bits, "promise", lambda net, *others: checked.append(net) or "promised")
    runtime = runtime_of(tmp_path)
    attacks = map(perturb, (toys.Shift(), toys.Shift(by=0.5), toys.Noise()))
    for task in (train(), *attacks):
        assert perform(task, runtime)[0] == "done"
    assert len(checked) == 1
