"""Own nets that torch can run pass the checks of a plan; others are refused in one sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from workbench import planned, registered, tiny

from invspec.errors import SpecError
from invspec.models.linear import Linear
from invspec.plan import validation


class Body(nn.Module):
    """A linear net; forward may be changed."""

    change: Callable[[Tensor], Any] = staticmethod(lambda logits: logits)

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Any:
        return self.change(self.net(x.flatten(1)))


class Attribute(Body):
    """Statistics in plain tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.mu = torch.tensor([0.13]).view(1, 1, 1)

    def forward(self, x: Tensor) -> Any:
        return super().forward(x - self.mu)


class Item(Body):
    """Rates by .item()."""

    def __init__(self) -> None:
        super().__init__()
        self.rates = [rate.item() for rate in torch.linspace(0, 0.1, 3)]


class ToList(Body):
    """Widths by .tolist()."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(*torch.tensor([16, 3]).tolist())


class Branching(Body):
    """A constructor that branches on numbers it has drawn."""

    def __init__(self) -> None:
        super().__init__()
        weight = torch.randn(3, 16)
        if weight.sum() < 0:
            weight = -weight
        self.net.weight = nn.Parameter(weight)


class FromArray(Body):
    """A constructor that uses numpy."""

    def __init__(self) -> None:
        super().__init__()
        self.net.weight.data += torch.from_numpy(np.ones((3, 16), np.float32))
        self.largest = float(np.linalg.norm(self.net.weight.detach().numpy()))


class Indexed(Body):
    """An index in a buffer, which garbage would take out of range."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("order", torch.randperm(16))

    def forward(self, x: Tensor) -> Any:
        return super().forward(x.flatten(1)[:, self.order])


class Asserting(Body):
    """A buffer that must be finite."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(1))

    def forward(self, x: Tensor) -> Any:
        assert (self.mean == 0).all(), "the mean is not 0"
        return super().forward(x)


class Lazy(nn.Sequential):
    """Layers that take their sizes from the first images."""

    def __init__(self) -> None:
        super().__init__(nn.Flatten(), nn.LazyLinear(3))


class Squeezing(Body):
    """Drops axes of size 1."""

    def forward(self, x: Tensor) -> Any:
        return super().forward(x).squeeze()


RUN = (Attribute, Item, ToList, Branching, FromArray, Indexed, Asserting, Lazy, Squeezing, Body)


def check(build: Callable[[], Any]) -> None:
    with registered(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(Linear, "build", lambda self, shape, classes: build())
        validation.check(planned(tiny()))


@pytest.mark.parametrize("net", RUN)
def test_nets_that_torch_runs_are_accepted(net: type[nn.Module]) -> None:
    state = torch.get_rng_state()
    check(net)
    assert torch.equal(torch.get_rng_state(), state)


class Output(NamedTuple):
    """As auxiliary heads are returned."""

    logits: Tensor
    features: Tensor


def answering(change: Callable[[Tensor], Any]) -> Callable[[], nn.Module]:
    return lambda: type("Mine", (Body,), {"change": staticmethod(change)})()


class Wide(Body):
    """Wants larger images."""

    def forward(self, x: Tensor) -> Any:
        assert x.shape[-1] == 32, f"expected width 32, found {x.shape[-1]}"
        return super().forward(x)


class Keyed(Body):
    """Looks its head up by the size of images."""

    def forward(self, x: Tensor) -> Any:
        return {28: super().forward}[x.shape[-1]](x)


def asserting() -> nn.Module:
    raise AssertionError("mine")


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "tuple": (answering(lambda z: (z, z)), "forward returned a tuple of 2, expected logits"),
    "named tuple": (answering(lambda z: Output(z, z)), "forward returned a Output of 2"),
    "list": (answering(lambda z: [z]), "forward returned a list of 1"),
    "dict": (answering(lambda z: {"logits": z}), "forward returned a dict with logits"),
    "nothing": (answering(lambda z: None), "forward returned nothing"),
    "vector": (answering(lambda z: z[:, 0]), "forward returned shape (2,)"),
    "image": (answering(lambda z: z[..., None, None]), "forward returned shape (2, 3, 1, 1)"),
    "one row": (answering(lambda z: z.mean(0, keepdim=True)), "forward returned shape (1, 3)"),
    "classes": (answering(lambda z: z.argmax(1, keepdim=True)), "forward returned int64"),
    "too few": (answering(lambda z: z[:, :2]), "expected 3 logits, one per class, found 2"),
    "asserts": (Wide, "AssertionError: expected width 32, found 4"),
    "keyed": (Keyed, "KeyError: 4"),
    "assertion in the constructor": (asserting, "AssertionError: mine"),
    "no net": (lambda: {"a": 1}, "Linear.build returned"),
}


@pytest.mark.parametrize(("build", "message"), REFUSED.values(), ids=REFUSED)
def test_nets_without_logits_are_refused_with_the_line(
    build: Callable[[], Any], message: str
) -> None:
    with pytest.raises(SpecError) as caught:
        check(build)
    assert str(caught.value).startswith(f"tiny.yaml:29: train.0.model: linear on fake: {message}")


def test_a_huge_net_is_not_built_for_a_look_at_its_error() -> None:
    built: list[str] = []

    class Huge(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Linear(2**20, 2**11)
            built.append(str(self.net.weight.device))

        def forward(self, x: Tensor) -> Tensor:
            return self.net(x)

    with pytest.raises(SpecError, match=r"linear on fake: .*"):
        check(Huge)
    assert built == ["meta"]
