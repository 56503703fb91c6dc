"""Does every model, attack and defence give on a device what it gives on a CPU?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, TypeVar, cast

import torch
from findings import Finding, at_most
from torch import Tensor

from invspec import kinds
from invspec.data import Journal
from invspec.datasets.fake import Fake
from invspec.defences.standard import Standard
from invspec.errors import InvspecError, first_line
from invspec.kinds import Attack, Defence, Model, Sample, Targets
from invspec.memory import Limits
from invspec.models.firevnet import FiRevNet
from invspec.models.stdcnn import StdCNN
from invspec.models.two_layer import TwoLayer
from invspec.ops.types import Shape
from invspec.perform.dispatch import perform
from invspec.perform.runtime import Artifact
from invspec.registry.cards import Kind, names
from invspec.registry.methods import make
from invspec.tasks import Perturb, Task, Train

T = TypeVar("T")
CPU = torch.device("cpu")
EXAMPLES = 16
QUICK: dict[Kind, tuple[str, ...]] = {
    "model": ("stdcnn", "firevnet_spheres"),
    "attack": ("pgd", "nspgd", "metamer"),
    "defence": ("standard", "ccat"),
}
SHAPES: tuple[tuple[Shape, int], ...] = (
    ((1, 28, 28), 10),
    ((3, 32, 32), 10),
    ((1, 1, 16), 10),
    ((1, 1, 17), 2),
)
TRAIN = Train(
    Fake(shape=(1, 16, 16), train=64, test=EXAMPLES), StdCNN(), Standard(epochs=1, lr=0.05), seed=0
)
# trainings of nets that some methods need
FITTING: dict[type | None, Train] = {
    None: TRAIN,
    kinds.TwoLayer: replace(TRAIN, model=TwoLayer(hidden=64)),
    kinds.Bijective: replace(TRAIN, model=FiRevNet(stages=2, blocks=1, width=8, factor_out=False)),
}
# Rounding differs by about 1e-6, TF32 by 1e-3; gradients also change where a ReLU switches.
LOGITS, GRADIENTS = 1e-4, 1e-3
# after an epoch whose first updates adam divides by their own size
WEIGHTS = 1e-2
# the share of images that may end elsewhere, because the sign of a gradient near 0 was rounded
IMAGES, MOVED = 0.125, 1e-3


class Memory:
    """A Runtime on a device that keeps artifacts in a dict."""

    def __init__(self, device: torch.device, kept: dict[Task, Artifact] | None = None) -> None:
        self.device, self.batch_size, self.limits = device, EXAMPLES, Limits()
        self.kept = kept or {}

    def load(self, task: Task) -> Artifact:
        if task not in self.kept:
            self.kept[task] = perform(task, self)
        return self.kept[task]

    def journal(self, task: Train) -> Journal:
        return Journal()

    def warn(self, message: str) -> None:
        raise AssertionError(message)

    def progress(self, done: int, total: int) -> None:
        pass


def agreement(device: torch.device, quick: bool) -> Iterator[Finding]:
    """A finding for every card that runs on the CPU."""
    trained = Memory(CPU)
    comparisons: dict[Kind, Callable[[str], Iterator[Finding]]] = {
        "model": lambda name: _model(name, device),
        "attack": lambda name: _attack(name, device, trained),
        "defence": lambda name: _defence(name, device),
    }
    for kind, compare in comparisons.items():
        for name in QUICK[kind] if quick else names(kind):
            yield from _reported(f"{kind} {name}", compare, name)


def _reported(
    title: str, compare: Callable[[str], Iterator[Finding]], name: str
) -> Iterator[Finding]:
    try:
        yield from compare(name)
    except _Elsewhere as problem:
        yield Finding("agreement", title, note=f"not on the CPU either: {problem}")
    except Exception as problem:
        note = f"{type(problem).__name__}: {first_line(problem)}"
        yield Finding("agreement", title, holds=False, note=note)


class _Elsewhere(Exception):
    """A card that this machine cannot run on its CPU, for want of a file or a package."""


def _on_cpu(run: Callable[[], T]) -> T:
    try:
        return run()
    except (InvspecError, ImportError, TypeError, ValueError) as problem:
        raise _Elsewhere(first_line(problem)) from None


def _model(name: str, device: torch.device) -> Iterator[Finding]:
    model, shape, classes = _on_cpu(lambda: _fitting(name))
    torch.manual_seed(0)
    net = model.build(shape, classes).eval()
    x = torch.rand(4, *shape, generator=torch.Generator().manual_seed(1))
    expected, found = _results(net, x), _results(net.to(device), x.to(device))
    for what, limit in (("logits", LOGITS), ("gradients", GRADIENTS)):
        gap = _gap(found[what], expected[what])
        yield at_most("agreement", f"model {name}: {what}", gap, limit)


def _fitting(name: str) -> tuple[Model, Shape, int]:
    model = cast(Model, make("model", name, {}))
    for shape, classes in SHAPES:
        try:
            model.sketch(shape, classes)
        except ValueError:
            continue
        return model, shape, classes
    raise ValueError("takes none of the shapes tried")


def _results(net: Any, x: Tensor) -> dict[str, Tensor]:
    x = x.clone().requires_grad_()
    logits = net(x)
    weights = torch.linspace(-1, 1, logits.shape[1], device=x.device)
    (gradient,) = torch.autograd.grad((logits * weights).sum(), x, materialize_grads=True)
    return {"logits": logits.detach().cpu(), "gradients": gradient.cpu()}


def _gap(found: Tensor, expected: Tensor) -> float:
    """The size of the difference relative to what was expected."""
    size = expected.double().norm().clamp_min(1e-12)
    return float((found.double() - expected.double()).norm() / size)


def _attack(name: str, device: torch.device, trained: Memory) -> Iterator[Finding]:
    attack = _on_cpu(lambda: cast(Attack, make("attack", name, {}))).smoke()
    training = FITTING.get(attack.accepts, TRAIN)
    sample = Sample(limit=EXAMPLES, targets=Targets(each=1) if attack.wants_target else None)
    task = Perturb(training, attack, sample, (0, EXAMPLES))
    trained.load(training)
    expected = _on_cpu(lambda: perform(task, trained)).tensors
    found = perform(task, Memory(device, {training: trained.load(training)})).tensors
    moved = (found["x_adv"].cpu() - expected["x_adv"]).flatten(1).abs().amax(1) > MOVED
    share = float(moved.double().mean())
    yield at_most("agreement", f"attack {name}: other images", share, IMAGES)


def _defence(name: str, device: torch.device) -> Iterator[Finding]:
    defence = _on_cpu(lambda: cast(Defence, make("defence", name, {}))).smoke()
    task = replace(FITTING.get(defence.accepts, TRAIN), defence=defence)
    expected = _on_cpu(lambda: perform(task, Memory(CPU))).tensors
    found = perform(task, Memory(device)).tensors
    gap = _gap(*(torch.cat([w[n].double().flatten() for n in expected]) for w in (found, expected)))
    yield at_most("agreement", f"defence {name}: weights", gap, WEIGHTS)
