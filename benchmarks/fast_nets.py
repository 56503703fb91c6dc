"""How fast do small nets for CIFAR-10 learn, and how good do they get?

    python benchmarks/fast_nets.py
    INVSPEC_DATA=.data python benchmarks/fast_nets.py --curve cifar_fast cifar_normal cifar_at

Without --curve: images a CPU second, on one thread, of an update and of a step of an attack, in
float32 and bfloat16. With it: trainings of specs/fair_nets.yaml at laptop scale, and after each
epoch the CPU seconds so far, accuracy on the first test images, and accuracy on fewer of them under
PGD with 50 steps at eps 8/255. Times are CPU seconds, so that they mean something on a busy
machine, which still makes them longer.
"""

from __future__ import annotations

# before torch, so that MKL computes products in its reproducible mode
import invspec  # isort: skip

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from timing import machine, random_batch
from torch import nn

from invspec.attacks.pgd import PGD
from invspec.data import Journal, Split
from invspec.execution.determinism import reproducible
from invspec.kinds import Model
from invspec.ops.draws import Stream
from invspec.ops.modules import frozen
from invspec.registry.methods import make
from invspec.spec import overlay
from invspec.training.adversarial import perturbed
from invspec.training.log import correct
from invspec.training.precision import InPrecision

SPEC = Path(__file__).parents[1] / "specs" / "fair_nets.yaml"
SHAPE, CLASSES = (3, 32, 32), 10
NETS: dict[str, dict[str, Any]] = {
    "airbench": {"use": "airbench"},
    "airbench, 64-128-256": {"use": "airbench", "widths": [64, 128, 256]},
    "the same, learned first layer": {
        **{"use": "airbench", "widths": [64, 128, 256], "whitened": False}
    },
    "preact_resnet18, width 16": {"use": "preact_resnet18", "width": 16},
    "preact_resnet18, width 32": {"use": "preact_resnet18", "width": 32},
}
PASSES = 4


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--curve", nargs="+", default=[], help="labels of defences to train with")
    parser.add_argument("--images", type=int, default=256, help="images of a timed batch")
    parser.add_argument("--clean", type=int, default=2000, help="test images after each epoch")
    parser.add_argument("--attacked", type=int, default=500, help="those that PGD attacks")
    options = parser.parse_args()
    print(f"{machine()}; invspec {invspec.__version__}; one thread\n")
    with reproducible(torch.device("cpu")):
        for label in options.curve:
            train(label, options.clean, options.attacked)
        if not options.curve:
            speeds(options.images)


def speeds(count: int) -> None:
    """Print images a CPU second."""
    print("| net | precision | update | attack |\n| --- | --- | --- | --- |")
    for name, fields in NETS.items():
        settings = {key: value for key, value in fields.items() if key != "use"}
        model = make("model", fields["use"], settings)
        assert isinstance(model, Model)
        for precision in ("float32", "bfloat16"):
            net = InPrecision(model.build(SHAPE, CLASSES), precision)
            seconds = timed(net, count)
            print(f"| {name} | {precision} | {count / seconds[0]:.0f} | {count / seconds[1]:.0f} |")


def timed(net: nn.Module, count: int) -> tuple[float, float]:
    """CPU seconds of an update, and of a forward and a backward pass to the images."""
    batch = random_batch(count, SHAPE)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)

    def update() -> None:
        optimiser.zero_grad()
        F.cross_entropy(net(batch.x), batch.y).backward()
        optimiser.step()

    def attack() -> None:
        x = batch.x.clone().requires_grad_()
        torch.autograd.grad(F.cross_entropy(net(x), batch.y), x)

    first = seconds_of(update)
    with frozen(net):
        return first, seconds_of(attack)


def seconds_of(function: Callable[[], None]) -> float:
    """CPU seconds of a call, the mean of PASSES after one that does not count."""
    function()
    start = time.process_time()
    for _ in range(PASSES):
        function()
    return (time.process_time() - start) / PASSES


def train(label: str, clean: int, attacked: int) -> None:
    """Train the spec's net with one of its defences, and print its curve."""
    entries = overlay.load(SPEC, "laptop").entries
    model: Any = entries["models"]["airbench" if label == "cifar_fast" else "fair_net"]
    defence: Any = entries["defences"][label]
    cifar10: Any = entries["datasets"]["cifar10"]
    model, defence, cifar10 = (entry.variants[0].method for entry in (model, defence, cifar10))
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        net = model.build(SHAPE, CLASSES)
    print(f"{label}\n\n| epoch | CPU seconds | trained images | clean | PGD |\n|{' --- |' * 5}")
    curve = Curve(net, cifar10.load("test").head(clean), attacked)
    defence.train(net, cifar10.load("train"), Stream("fast nets"), curve)
    print()


class Curve(Journal):
    """Prints a line after each epoch, whose time does not count."""

    def __init__(self, net: nn.Module, test: Split, attacked: int) -> None:
        self.net, self.test, self.attacked = net, test, attacked
        self.start = time.process_time()

    def save(self, state: dict[str, Any]) -> None:
        seconds, numbers = time.process_time() - self.start, state["history"][-1]
        accuracies = [self.accuracy(self.test, steps=0)]
        accuracies.append(self.accuracy(self.test.head(self.attacked), steps=50))
        cells = [f"{accuracy:.3f}" for accuracy in (numbers["accuracy"], *accuracies)]
        print(f"| {len(state['history'])} | {seconds:.0f} | {' | '.join(cells)} |", flush=True)
        self.start = time.process_time() - seconds

    def accuracy(self, split: Split, steps: int) -> float:
        """Accuracy in float32, under PGD if it has steps."""
        right = 0
        for batch in split.batches(250):
            x = batch.x
            if steps:
                attack = PGD(eps=8 / 255, steps=steps, step_size=2 / 255)
                x = perturbed(attack, self.net, batch, Stream("curve"))
            with torch.no_grad():
                right += int(correct(self.net.eval()(x), batch.y).sum())
        self.net.train()
        return right / len(split)


if __name__ == "__main__":
    main()
