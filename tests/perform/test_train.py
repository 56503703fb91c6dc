"""What torch can train is trained and stored; if it cannot be stored, the refusal says why."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from workbench import Memory, perturb, toys, train

from invspec.data import Curves, Journal, Split, TensorSplit
from invspec.defences.standard import Standard
from invspec.defences.untrained import Untrained
from invspec.errors import InvspecError
from invspec.kinds import Dataset, Defence, Model, SplitName
from invspec.ops.draws import Stream
from invspec.ops.types import Shape
from invspec.perform.train import fresh
from invspec.tasks import Train


class Body(nn.Module):
    """A linear net; subclasses have habits."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x.flatten(1))


class Attribute(Body):
    """Mean and deviation are plain tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.mu, self.sigma = torch.tensor([0.1]), torch.rand(1) + 0.5

    def forward(self, x: Tensor) -> Tensor:
        return super().forward((x - self.mu) / self.sigma)


class Masked(Body):
    """A causal mask of -inf in a buffer."""

    mask: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mask", torch.full((4, 4), float("-inf")).triu(1))

    def forward(self, x: Tensor) -> Tensor:
        rows = x[:, 0]
        return super().forward((rows @ rows.mT + self.mask).softmax(-1) @ rows)


class Unknown(Body):
    """A buffer of NaN for what is not known."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("missing", torch.full((3,), math.nan))


class Lazy(nn.Module):
    """Layers that take their sizes from the first images."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(3)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class Drawn(Body):
    """A projection that is drawn from each library and kept nowhere."""

    def __init__(self) -> None:
        super().__init__()
        drawn = np.random.rand() + random.random()
        self.scale = torch.rand(16) + float(drawn)

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x.flatten(1) * self.scale)


class Running(Body):
    """A mean that it learns, in a plain tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.mean = torch.zeros(16)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.mean = 0.5 * self.mean + 0.5 * x.detach().flatten(1).mean(0)
        return self.net(x.flatten(1) - self.mean)


class Noted(Body):
    """Something that is no tensor, in the state dict."""

    def get_extra_state(self) -> Any:
        return {"note": 1}

    def set_extra_state(self, state: Any) -> None:
        pass


class Spoiled(Masked):
    """Its mask is spoiled where it was finite."""

    def forward(self, x: Tensor) -> Tensor:
        self.mask[0, 0] = math.nan
        return self.net(x.flatten(1))


class Own(Model):
    """One of these nets."""

    nets: ClassVar[dict[str, Any]] = {
        kind.__name__: kind for kind in (Attribute, Masked, Unknown, Lazy, Drawn, Running, Noted)
    } | {"Spoiled": Spoiled}
    net: str

    def build(self, shape: Shape, classes: int) -> nn.Module:
        return self.nets[self.net]()


def trained(net: str, defence: Defence | None = None) -> Memory:
    runtime = Memory()
    runtime.load(task_of(net, defence))
    return runtime


def task_of(net: str, defence: Defence | None = None) -> Train:
    return train(model=Own(net=net), defence=defence or Standard(epochs=2, batch_size=8, lr=0.1))


@pytest.mark.parametrize("net", ["Attribute", "Masked", "Unknown", "Lazy", "Drawn"])
def test_what_torch_trains_is_trained_and_attacked(net: str) -> None:
    runtime = trained(net)
    attacked = runtime.load(perturb(toys.Ascent(), task_of(net)))
    assert len(attacked.tensors["x_adv"]) == 20


@pytest.mark.parametrize("net", ["Lazy", "Drawn"])
def test_a_net_is_built_the_same_each_time(net: str) -> None:
    torch.manual_seed(5)
    np.random.seed(5)
    first = fresh(task_of(net)).eval()
    torch.manual_seed(6)
    random.seed(6)
    second, x = fresh(task_of(net)).eval(), torch.rand(4, 1, 4, 4)
    assert torch.equal(first(x), second(x))
    assert first.training is False


REFUSED = {
    "Running": "it has learned something that its state dict does not hold",
    "Noted": "the net's state dict has _extra_state, a dict, expected tensors",
    "Spoiled": r"training left weights that are not finite \(mask\)",
}


@pytest.mark.parametrize(("net", "message"), REFUSED.items())
def test_what_cannot_be_stored_is_refused(net: str, message: str) -> None:
    with pytest.raises(InvspecError, match=message):
        trained(net)


class Mine(Defence):
    """Any training."""

    ways: ClassVar[dict[str, Callable[[nn.Module], Any]]] = {}
    way: str

    def train(self, model: nn.Module, data: Split, rng: Stream, journal: Journal) -> Curves:
        return self.ways[self.way](model)


def prune(model: nn.Module) -> Curves:
    model.net = nn.Linear(16, 3, bias=False)
    return {}


def half(model: nn.Module) -> Curves:
    model.half()
    return {}


def jitter(model: nn.Module) -> Curves:
    with torch.no_grad():
        for weight in model.parameters():
            weight += torch.randn_like(weight)
    return {}


Mine.ways = {"prune": prune, "half": half, "jitter": jitter, "none": lambda model: None}


def test_a_training_that_changes_the_parts_of_the_net_is_refused() -> None:
    with pytest.raises(InvspecError, match=r"do not fit the net that it builds: .*Missing key"):
        trained("Unknown", Mine(way="prune"))


def test_a_training_that_leaves_another_precision_is_refused() -> None:
    with pytest.raises(InvspecError, match=r"weights are float16, expected float32"):
        trained("Unknown", Mine(way="half"))


@pytest.mark.parametrize(
    ("curves", "found"),
    [
        (None, "returned nothing"),
        ([0.5], "returned a list"),
        ({"loss": "abc"}, "returned the curve 'loss'"),
        ({3: [1.0]}, "returned the curve 3"),
        ({"loss": [True]}, "returned the curve 'loss'"),
    ],
)
def test_a_training_that_returns_no_curves_is_refused(
    curves: Any, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Mine, "train", lambda *_: curves)
    with pytest.raises(InvspecError, match=f"{found}.*expected curves by name"):
        trained("Unknown", Mine(way="none"))


def test_a_training_that_draws_from_global_generators_repeats() -> None:
    state = torch.get_rng_state()
    first, second = (trained("Masked", Mine(way="jitter")) for _ in range(2))
    first, second = (
        one.kept[task_of("Masked", Mine(way="jitter"))].tensors for one in (first, second)
    )
    assert torch.equal(first["net.weight"], second["net.weight"])
    assert torch.equal(torch.get_rng_state(), state)
    built = fresh(task_of("Masked"))
    assert not torch.equal(first["net.weight"], built.state_dict()["net.weight"])


def test_untrained_nets_are_stored_as_they_were_built() -> None:
    runtime, task = Memory(), task_of("Masked", Untrained())
    assert torch.equal(
        runtime.load(task).tensors["net.weight"], fresh(task).state_dict()["net.weight"]
    )


# ─ test images that are those of the training ─


class Sloppy(Dataset):
    """Twelve images; with most flaws, all splits have the same ones."""

    flaw: Literal["ignores", "cuts", "missing", "none"] = "ignores"

    @property
    def shape(self) -> Shape:
        return (1, 4, 4)

    @property
    def classes(self) -> int:
        return 3

    def count(self, split: SplitName) -> int:
        return 6 if self.flaw == "cuts" and split == "test" else 12

    def load(self, split: SplitName) -> Split:
        if self.flaw == "missing" and split == "test":
            raise KeyError(split)
        name = split if self.flaw == "none" else "all"
        pixels = Stream(f"sloppy {name}").uniform((12, *self.shape))
        return TensorSplit(pixels, torch.arange(12) % 3).head(self.count(split))


def warnings(flaw: str, defence: Defence | None = None) -> list[str]:
    runtime, used = Memory(), defence or Standard(epochs=1, batch_size=4, lr=0.1)
    runtime.load(train(dataset=Sloppy(flaw=flaw), defence=used))
    return runtime.warnings


@pytest.mark.parametrize(("flaw", "count"), [("ignores", 12), ("cuts", 6)])
def test_a_data_set_that_ignores_its_split_is_told_of(flaw: str, count: int) -> None:
    (warning,) = warnings(flaw)
    assert warning.startswith(
        f"data set Sloppy (flaw {flaw}) gives the same images for split test as for split train "
        f"(the first {count} are equal)"
    )
    assert "hint: load must heed its split" in warning


@pytest.mark.parametrize("flaw", ["none", "missing"])
def test_test_images_of_their_own_or_missing_ones_give_no_warning(flaw: str) -> None:
    assert warnings(flaw) == []


def test_a_net_that_learnt_nothing_from_the_data_may_be_judged_on_all_of_it() -> None:
    assert warnings("ignores", Untrained()) == []
