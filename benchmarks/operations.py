"""How many operations does a spec need, and how many hours are those on one card?

    python benchmarks/operations.py specs/kamath_tradeoff.yaml --scale h100 [--rate 60]

Counts the multiplications and additions of one forward pass of each net on the meta device, and
multiplies them out: a pass with its gradient counts three times, and a training or an attack takes
the examples times the epochs, steps and restarts that its spec says. Hours are those of `--rate`
10^12 operations a second, but at least `--launch` microseconds for every operation of torch in a
pass of a training's batch or of 1,024 attacked images: small nets are bound by launches. Both
defaults are assumptions, not measurements. Data sets that are not at hand count as `--images`.

Prints one line for each net of a line of `train`, and the attacks on it; scores are left out.
"""

from __future__ import annotations

import argparse
import math
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from invspec.analysis.likeness import described
from invspec.errors import InvspecError
from invspec.kinds import Dataset, Method, Model, plain
from invspec.plan import planner
from invspec.plan.cells import Plan
from invspec.spec import overlay
from invspec.tasks import Perturb, Train

# a forward pass, and a backward pass of twice its operations
WITH_GRADIENT = 3
ATTACK_BATCH = 1_024
NET = ("dataset", "model", "defence")


class Cost(NamedTuple):
    """Multiplications and additions, and operations of torch that are launched."""

    operations: float
    launches: float

    def plus(self, other: Cost) -> Cost:
        """Both together."""
        return Cost(self.operations + other.operations, self.launches + other.launches)


class Launches(TorchDispatchMode):
    """Counts the operations of torch that run within it."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += 1
        return func(*args, **(kwargs or {}))


def main() -> None:
    options = arguments()
    plan = planner.plan(overlay.load(overlay.find(options.spec), scale=options.scale))
    total = 0.0
    print(f"{'hours':>8} {'train':>8} {'attack':>8}  {'10^12 operations':>16}  net")
    for net, (training, attacks) in sorted(costs(plan, options.images).items()):
        hours = [hours_of(cost, options) for cost in (training, attacks)]
        total += sum(hours)
        operations = (training.operations + attacks.operations) / 1e12
        print(f"{sum(hours):8.2f} {hours[0]:8.2f} {hours[1]:8.2f}  {operations:16,.0f}  {net}")
    print(f"{total:8.2f} hours in all")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("spec")
    parser.add_argument("--scale")
    parser.add_argument("--rate", type=float, default=60.0, help="10^12 operations a second")
    parser.add_argument("--launch", type=float, default=10.0, help="microseconds of an operation")
    parser.add_argument("--images", type=int, default=50_000)
    return parser.parse_args()


def costs(plan: Plan, images: int) -> dict[str, tuple[Cost, Cost]]:
    """The cost of training each net of a plan, all its seeds together, and of attacking it."""
    totals: dict[str, list[Cost]] = defaultdict(lambda: [Cost(0, 0), Cost(0, 0)])
    for task in plan.tasks:
        if isinstance(task, Train):
            place, cost, train = 0, training_cost(task, images), task
        elif isinstance(task, Perturb) and task.source is None:
            place, cost, train = 1, attack_cost(task), task.train
        else:
            continue
        label = name(plan, train)
        totals[label][place] = totals[label][place].plus(cost)
    return {net: (training, attacks) for net, (training, attacks) in totals.items()}


def training_cost(task: Train, images: int) -> Cost:
    """The cost of a training; nothing for those that have no epochs."""
    defence = task.defence
    if not hasattr(defence, "epochs"):
        return Cost(0, 0)
    most = getattr(defence, "examples", None) or math.inf
    visits = min(training_images(task.dataset, images), most) * passes(defence)
    batch = getattr(defence, "batch_size", 128)
    return cost(task, visits, visits / batch)


def attack_cost(task: Perturb) -> Cost:
    """The cost of an attack on one part of its sample."""
    start, stop = task.part
    visits = (stop - start) * passes(task.attack)
    return cost(task.train, visits, math.ceil(visits / ATTACK_BATCH))


def cost(train: Train, images: float, batches: float) -> Cost:
    """The cost of passing images through a net, forwards and backwards, in some batches."""
    operations, launches = forward(train.model, train.dataset)
    return Cost(WITH_GRADIENT * operations * images, WITH_GRADIENT * launches * batches)


def training_images(dataset: Dataset, otherwise: int) -> int:
    """The number of training images, if the data are at hand."""
    try:
        return dataset.count("train") or otherwise
    except InvspecError:
        return otherwise


def passes(method: Method) -> float:
    """How often a method passes each image through the net."""
    return described(plain(method)).passes


def forward(model: Model, dataset: Dataset) -> Cost:
    """The cost of one forward pass of one image, or for a generator of one pair."""
    place = (repr(model), dataset.shape, dataset.classes)
    if place not in _forward:
        with torch.device("meta"):
            net = model.build(dataset.shape, dataset.classes).eval()
            channels, *sides = dataset.shape
            images = torch.empty(1, channels * (2 if model.makes == "images" else 1), *sides)
        counter, launches = FlopCounterMode(display=False), Launches()
        with torch.no_grad(), counter, launches:
            net(images)
        _forward[place] = Cost(counter.get_total_flops(), launches.count)
    return _forward[place]


_forward: dict[tuple[Any, ...], Cost] = {}


def name(plan: Plan, train: Train) -> str:
    """The labels of a net's line."""
    return next(_names(plan, train), "another net")


def _names(plan: Plan, train: Train) -> Iterator[str]:
    for cell in plan.cells:
        if cell.goal.train == train:
            coords = cell.coords
            swept = [
                f"{key} {value}"
                for key, value in coords.items()
                if key.split(".")[0] in [coords[part] for part in NET]
            ]
            yield ", ".join([str(coords[part]) for part in NET] + swept)


def hours_of(cost: Cost, options: argparse.Namespace) -> float:
    """Hours at the assumed rate, or those of the launches if these are more."""
    seconds = max(cost.operations / (options.rate * 1e12), cost.launches * options.launch / 1e6)
    return seconds / 3600


if __name__ == "__main__":
    main()
