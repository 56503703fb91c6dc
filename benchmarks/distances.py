"""Are minimum-norm attacks here as strong as Foolbox's? Mean distances at the same settings.

    INVSPEC_DATA=.data uv run --group bench python benchmarks/distances.py

Both get the same images, all classified correctly, and the same settings. Ours run as in the papers
(refine 0) and with the refinement that is the default here; the table counts the forward passes.
The verdict is about DDN: its mean distance over the images that all three fool must not be larger
than Foolbox's.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import foolbox
import torch
from foolbox.models.pytorch import PyTorchModel
from rich.console import Console
from rich.progress import track
from rich.table import Table
from subjects import ADVERSARIAL, PROVABLE, has_data, mnist_test, published, trained_lenet
from torch import Tensor, nn

from invspec.attacks.ddn import DDN
from invspec.attacks.deepfool import DeepFool
from invspec.attacks.fmn import FMN
from invspec.data import Batch
from invspec.ops.draws import PerExample
from invspec.ops.norms import Metric, size
from invspec.search.minimal_norm import MinimalNorm


@dataclass(frozen=True)
class Pair:
    """An attack of ours and Foolbox's version with the same settings."""

    name: str
    ours: MinimalNorm
    norm: Metric
    theirs: Any


def pairs(steps: int) -> list[Pair]:
    attacks: Any = foolbox.attacks
    return [
        Pair(
            "DDN",
            DDN(steps=steps),
            "l2",
            attacks.DDNAttack(init_epsilon=1.0, steps=steps, gamma=0.05),
        ),
        Pair("FMN", FMN(steps=steps), "l2", attacks.L2FMNAttack(steps=steps)),
        Pair("FMN", FMN(steps=steps, norm="linf"), "linf", attacks.LInfFMNAttack(steps=steps)),
        Pair("FMN", FMN(steps=steps, norm="l1"), "l1", attacks.L1FMNAttack(steps=steps)),
        Pair("FMN", FMN(steps=steps, norm="l0"), "l0", attacks.L0FMNAttack(steps=steps)),
        Pair("DeepFool", DeepFool(), "l2", attacks.L2DeepFoolAttack(overshoot=0.02)),
        Pair("DeepFool", DeepFool(norm="linf"), "linf", attacks.LinfDeepFoolAttack(overshoot=0.02)),
    ]


class Counted(nn.Module):
    """A net that counts the examples in its forward passes."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net, self.passes = net, 0

    def forward(self, x: Tensor) -> Tensor:
        self.passes += len(x)
        return self.net(x)


@dataclass(frozen=True)
class Outcome:
    """Distances (B,), infinite where the net is not fooled, and forward passes per image."""

    distance: Tensor
    passes: float


def outcome(
    search: Callable[[nn.Module], Tensor], net: nn.Module, batch: Batch, norm: Metric
) -> Outcome:
    counted = Counted(net).eval()
    x_adv = search(counted)
    with torch.no_grad():
        fooled = net(x_adv).argmax(1) != batch.y
    distance = size(x_adv - batch.x, norm)
    return Outcome(torch.where(fooled, distance, torch.inf), counted.passes / len(batch))


def ours(attack: MinimalNorm, batch: Batch) -> Callable[[nn.Module], Tensor]:
    return lambda net: attack.perturb(net, batch, PerExample("distances", batch.index)).x_adv


def theirs(attack: Any, batch: Batch) -> Callable[[nn.Module], Tensor]:
    return lambda net: attack.run(PyTorchModel(net, bounds=(0, 1)), batch.x, batch.y)


def compare(pair: Pair, net: nn.Module, batch: Batch) -> list[Outcome]:
    """Outcomes of our attack as published, of ours with refinement, and of Foolbox's."""
    unrefined = pair.ours.model_copy(update={"refine": 0})
    searches = [ours(unrefined, batch), ours(pair.ours, batch), theirs(pair.theirs, batch)]
    return [outcome(search, net, batch, pair.norm) for search in searches]


def correct(net: nn.Module, batch: Batch) -> Batch:
    """The images that net classifies correctly."""
    with torch.no_grad():
        return batch.take(net(batch.x).argmax(1) == batch.y)


def means(outcomes: list[Outcome]) -> list[float]:
    """Mean distances over the images that all attacks fooled."""
    fooled = torch.stack([outcome.distance.isfinite() for outcome in outcomes]).all(0)
    return [float(outcome.distance[fooled].mean()) for outcome in outcomes]


def table(name: str, net: nn.Module, n: int, attacks: Sequence[Pair]) -> tuple[Table, bool]:
    """The table of one net, and whether DDN here is as good as Foolbox's, refined or not."""
    batch = correct(net, mnist_test(n))
    title = f"{name}, {len(batch)} images: mean distance (not fooled, forward passes per image)"
    result = Table(
        "attack", "norm", "refine 0", "refined", "foolbox", title=title, title_justify="left"
    )
    as_close = True
    for pair in track(attacks, transient=True):
        outcomes = compare(pair, net, batch)
        mean = means(outcomes)
        cells = [
            f"{value:.4f} ({int(outcome.distance.isinf().sum())}, {outcome.passes:.0f})"
            for value, outcome in zip(mean, outcomes, strict=True)
        ]
        result.add_row(pair.name, pair.norm, *cells)
        if pair.name == "DDN":
            as_close = max(mean[:2]) <= mean[2]
    return result, as_close


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=200, help="first images of the test split")
    parser.add_argument("--steps", type=int, default=100, help="updates of DDN and FMN")
    options = parser.parse_args()
    console = Console()
    if not has_data():
        console.print("INVSPEC_DATA must name the folder with MNIST and checkpoints")
        return 2
    # Foolbox raises warnings of its own
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    held, attacks = True, pairs(options.steps)
    nets = {name: (published(name), attacks) for name in (ADVERSARIAL, PROVABLE)}
    # a larger net, for DDN only
    nets["LeNet"] = (trained_lenet(), attacks[:1])
    for name, (net, attacks_of_net) in nets.items():
        result, as_close = table(name, net, options.images, attacks_of_net)
        console.print(result)
        console.print(
            f"{'held  ' if as_close else 'missed'}  "
            f"mean distance of DDN at most Foolbox's at {options.steps} steps"
        )
        held &= as_close
    return 0 if held else 1


if __name__ == "__main__":
    raise SystemExit(main())
