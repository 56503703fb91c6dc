"""Is PGD here as strong as in torchattacks and foolbox? Robust accuracy at the same settings.

    INVSPEC_DATA=.data uv run --group bench python benchmarks/peers.py

Starting at x, all must have the same robust accuracy. Random starts differ between libraries, which
changes the robust accuracy on 1,000 images by some tenths of a point, so the mean over several
starts is compared.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from statistics import mean
from typing import Any

import foolbox
import torch
import torchattacks
from foolbox.models.pytorch import PyTorchModel
from rich.console import Console
from rich.progress import track
from rich.table import Table
from subjects import ADVERSARIAL, PROVABLE, has_data, mnist_test, published, robust_accuracy
from torch import Tensor, nn

from invspec.attacks.pgd import PGD
from invspec.data import Batch
from invspec.ops.draws import PerExample

STEPS = 40
# largest accepted difference in robust accuracy
TOLERANCE = 0.005


@dataclass(frozen=True)
class Setting:
    """An untargeted linf attack of STEPS steps."""

    eps: float
    random_start: bool

    @property
    def step_size(self) -> float:
        return 2.5 * self.eps / STEPS


def invspec_pgd(net: nn.Module, batch: Batch, setting: Setting, seed: int) -> Tensor:
    attack = PGD(
        eps=setting.eps, steps=STEPS, step_size=setting.step_size, random_start=setting.random_start
    )
    return attack.perturb(net, batch, PerExample(f"peers {seed}", batch.index)).x_adv


def torchattacks_pgd(net: nn.Module, batch: Batch, setting: Setting, seed: int) -> Tensor:
    torch.manual_seed(seed)
    attack = torchattacks.PGD(net, setting.eps, setting.step_size, STEPS, setting.random_start)
    return attack(batch.x, batch.y)


def foolbox_pgd(net: nn.Module, batch: Batch, setting: Setting, seed: int) -> Tensor:
    torch.manual_seed(seed)
    attack: Any = foolbox.attacks.LinfPGD(
        abs_stepsize=setting.step_size, steps=STEPS, random_start=setting.random_start
    )
    return attack.run(PyTorchModel(net, bounds=(0, 1)), batch.x, batch.y, epsilon=setting.eps)


Attack = Callable[[nn.Module, Batch, Setting, int], Tensor]
PEERS: dict[str, Attack] = {
    "invspec": invspec_pgd,
    "torchattacks": torchattacks_pgd,
    "foolbox": foolbox_pgd,
}


def mean_robust_accuracy(
    attack: Attack, net: nn.Module, batch: Batch, setting: Setting, starts: int
) -> float:
    """Mean robust accuracy over this many random starts; over one run if it starts at x."""
    seeds = range(starts if setting.random_start else 1)
    return mean(robust_accuracy(net, attack(net, batch, setting, seed), batch.y) for seed in seeds)


def compare(batch: Batch, starts: int) -> tuple[Table, bool]:
    """The table, and whether all libraries agree."""
    title = f"Robust accuracy (%), {len(batch)} images; random: mean of {starts} starts"
    table = Table("checkpoint", "eps", "start", *PEERS, title=title, title_justify="left")
    agree = True
    settings = [Setting(eps, random_start) for eps in (0.1, 0.3) for random_start in (False, True)]
    for checkpoint, setting in track([*product((ADVERSARIAL, PROVABLE), settings)], transient=True):
        net, start = published(checkpoint), "random" if setting.random_start else "x"
        accuracies = [
            mean_robust_accuracy(attack, net, batch, setting, starts) for attack in PEERS.values()
        ]
        agree &= max(accuracies) - min(accuracies) <= TOLERANCE
        table.add_row(
            checkpoint, str(setting.eps), start, *(f"{100 * value:.2f}" for value in accuracies)
        )
    return table, agree


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=1000, help="first images of the test split")
    parser.add_argument(
        "--starts", type=int, default=3, help="number of random starts to average over"
    )
    options = parser.parse_args()
    console = Console()
    if not has_data():
        console.print("INVSPEC_DATA must name the folder with MNIST and checkpoints")
        return 2
    # the peers raise warnings of their own
    warnings.simplefilter("ignore")
    table, agree = compare(mnist_test(options.images), options.starts)
    console.print(table)
    console.print(f"all within {100 * TOLERANCE} points: {'yes' if agree else 'no'}")
    return 0 if agree else 1


if __name__ == "__main__":
    raise SystemExit(main())
