"""Are the nearest adversarial images found here as near as Foolbox's? Mean distances at the same settings.

    INVSPEC_DATA=.data uv run --group runtime python benchmarks/distances.py

Both get the same images, all classified correctly, and the same settings. Ours run as the papers have them, refine 0,
and with the refinement that is the default here, whose forward passes the table counts. The verdict is on DDN: its
distances must not be larger than Foolbox's, on average over the images that both fooled.
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
    """An attack of ours and Foolbox's of the same settings."""

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
    """A net that counts the examples it sees."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net, self.passes = net, 0

    def forward(self, x: Tensor) -> Tensor:
        self.passes += len(x)
        return self.net(x)


@dataclass(frozen=True)
class Found:
    """Distances (B,), inf where the net was not fooled, and forward passes per image."""

    distance: Tensor
    passes: float


def found(
    search: Callable[[nn.Module], Tensor], net: nn.Module, batch: Batch, norm: Metric
) -> Found:
    counted = Counted(net).eval()
    x_adv = search(counted)
    with torch.no_grad():
        fooled = net(x_adv).argmax(1) != batch.y
    distance = size(x_adv - batch.x, norm)
    return Found(torch.where(fooled, distance, torch.inf), counted.passes / len(batch))


def ours(attack: MinimalNorm, batch: Batch) -> Callable[[nn.Module], Tensor]:
    return lambda net: attack.perturb(net, batch, PerExample("distances", batch.index)).x_adv


def theirs(attack: Any, batch: Batch) -> Callable[[nn.Module], Tensor]:
    return lambda net: attack.run(PyTorchModel(net, bounds=(0, 1)), batch.x, batch.y)


def compare(pair: Pair, net: nn.Module, batch: Batch) -> list[Found]:
    """As published, refined, Foolbox's."""
    published_one = pair.ours.model_copy(update={"refine": 0})
    searches = [ours(published_one, batch), ours(pair.ours, batch), theirs(pair.theirs, batch)]
    return [found(search, net, batch, pair.norm) for search in searches]


def correct(net: nn.Module, batch: Batch) -> Batch:
    with torch.no_grad():
        return batch.take(net(batch.x).argmax(1) == batch.y)


def means(results: list[Found]) -> list[float]:
    """Mean distances over the images that all fooled."""
    both = torch.stack([one.distance.isfinite() for one in results]).all(0)
    return [float(one.distance[both].mean()) for one in results]


def table(name: str, net: nn.Module, n: int, attacks: Sequence[Pair]) -> tuple[Table, bool]:
    """The table of one net, and whether DDN here is as near as Foolbox's, refined or not."""
    batch = correct(net, mnist_test(n))
    title = f"{name}, {len(batch)} images: mean distance (not fooled, forwards each)"
    result, near = (
        Table(
            "attack", "norm", "refine 0", "refined", "foolbox", title=title, title_justify="left"
        ),
        True,
    )
    for pair in track(attacks, transient=True):
        results = compare(pair, net, batch)
        mean = means(results)
        cells = [
            f"{value:.4f} ({int(one.distance.isinf().sum())}, {one.passes:.0f})"
            for value, one in zip(mean, results, strict=True)
        ]
        result.add_row(pair.name, pair.norm, *cells)
        if pair.name == "DDN":
            near = max(mean[:2]) <= mean[2]
    return result, near


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=200, help="first images of the test split")
    parser.add_argument("--steps", type=int, default=100, help="updates of DDN and FMN")
    options = parser.parse_args()
    console = Console()
    if not has_data():
        console.print("INVSPEC_DATA must name the folder that holds MNIST and checkpoints")
        return 2
    warnings.simplefilter("ignore")  # the peer's own
    torch.manual_seed(0)
    held, every = True, pairs(options.steps)
    nets = {name: (published(name), every) for name in (ADVERSARIAL, PROVABLE)}
    nets["LeNet"] = (trained_lenet(), every[:1])  # a larger net, for DDN alone
    for name, (net, attacks) in nets.items():
        shown, near = table(name, net, options.images, attacks)
        console.print(shown)
        console.print(
            f"{'held  ' if near else 'missed'}  DDN is at most as far as Foolbox's at {options.steps} steps"
        )
        held &= near
    return 0 if held else 1


if __name__ == "__main__":
    raise SystemExit(main())
