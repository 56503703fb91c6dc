"""Is AutoAttack here as strong as its authors' code, and at least as strong as a long PGD?

    INVSPEC_DATA=.data uv run --group bench python benchmarks/autoattack.py [--images 1000]

Both implementations draw their own random starts, so single images may differ. Their robust
accuracies must agree within half a point, and ours must not be above that of PGD with 100 steps and
5 restarts.
"""

from __future__ import annotations

import argparse
import logging
import warnings
from dataclasses import dataclass
from typing import Any

import torch
from pyautoattack.autoattack import AutoAttack as AuthorsAutoAttack
from rich.console import Console
from rich.table import Table
from subjects import ADVERSARIAL, PROVABLE, has_data, mnist_test, published, robust_accuracy
from torch import Tensor, nn

from invspec.attacks.autoattack import AutoAttack
from invspec.attacks.pgd import PGD
from invspec.data import Batch
from invspec.kinds import Attack
from invspec.ops.draws import PerExample

# largest accepted difference in robust accuracy
TOLERANCE = 0.005


@dataclass(frozen=True)
class Case:
    """A net and the radius of the linf ball in which it is attacked."""

    checkpoint: str
    eps: float


CASES = (Case(ADVERSARIAL, 0.3), Case(PROVABLE, 0.1))


def ours(attack: Attack, net: nn.Module, batch: Batch, batch_size: int) -> Tensor:
    batches = [batch.take(rows) for rows in torch.arange(len(batch)).split(batch_size)]
    x_adv = [
        attack.perturb(net, part, PerExample("autoattack", part.index)).x_adv for part in batches
    ]
    return torch.cat(x_adv)


def theirs(case: Case, net: nn.Module, batch: Batch, batch_size: int) -> Tensor:
    attack: Any = AuthorsAutoAttack(net, eps=case.eps, norm="Linf", seed=0)
    return attack.run_standard_evaluation(batch.x, batch.y, batch_size=batch_size)[0]


@dataclass(frozen=True)
class Row:
    """Robust accuracies in one case."""

    case: Case
    pgd: float
    ours: float
    theirs: float

    @property
    def verdicts(self) -> list[tuple[str, bool]]:
        """Each requirement on the robust accuracies, and whether it holds."""
        name = self.case.checkpoint
        gap = abs(self.ours - self.theirs)
        return [
            (
                f"{name}: within {100 * TOLERANCE} points of the authors': {100 * gap:.2f}",
                gap <= TOLERANCE,
            ),
            (
                f"{name}: not above PGD: {100 * (self.pgd - self.ours):.2f} below",
                self.ours <= self.pgd,
            ),
        ]


def evaluate(case: Case, batch: Batch, batch_size: int) -> Row:
    net = published(case.checkpoint)
    pgd, autoattack = PGD(eps=case.eps, steps=100, restarts=5), AutoAttack(eps=case.eps)
    results = (
        ours(pgd, net, batch, batch_size),
        ours(autoattack, net, batch, batch_size),
        theirs(case, net, batch, batch_size),
    )
    return Row(case, *(robust_accuracy(net, x_adv, batch.y) for x_adv in results))


def table_of(rows: list[Row], images: int) -> Table:
    title = f"Robust accuracy (%), the first {images} test images, norm linf"
    table = Table(
        "checkpoint",
        "eps",
        "PGD 100 x 5",
        "AutoAttack",
        "the authors'",
        title=title,
        title_justify="left",
    )
    for row in rows:
        values = (f"{100 * value:.2f}" for value in (row.pgd, row.ours, row.theirs))
        table.add_row(row.case.checkpoint, str(row.case.eps), *values)
    return table


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=1000, help="first images of the test split")
    parser.add_argument("--batch-size", type=int, default=250, help="images attacked at once")
    parser.add_argument(
        "--threads", type=int, default=1, help="torch threads; invspec runs CPU tasks with one"
    )
    options = parser.parse_args()
    console = Console()
    if not has_data():
        console.print("INVSPEC_DATA must name the folder with MNIST and checkpoints")
        return 2
    torch.set_num_threads(options.threads)
    # the authors' code raises warnings of its own
    warnings.simplefilter("ignore")
    logging.getLogger("auto-attack").setLevel(logging.ERROR)
    batch = mnist_test(options.images)
    rows = [evaluate(case, batch, options.batch_size) for case in CASES]
    console.print(table_of(rows, options.images))
    held = [verdict for row in rows for verdict in row.verdicts]
    for text, holds in held:
        console.print(f"{'held  ' if holds else 'missed'}  {text}")
    return 0 if all(holds for _, holds in held) else 1


if __name__ == "__main__":
    raise SystemExit(main())
