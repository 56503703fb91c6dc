"""Is the worst of three attacks as strong as AutoAttack?

    INVSPEC_DATA=.data uv run --group bench python benchmarks/worst_case.py [--images 1000]

Robust accuracy under the worst of APGD, targeted APGD and Square must be within half a point of
that under AutoAttack, which adds FAB and runs each attack on what the ones before it have left. It
is compared with our AutoAttack, a measure of the same spec, and with the authors' own code.
"""

from __future__ import annotations

import argparse
import logging
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import torch
import yaml
from autoattack import Case, theirs
from rich.console import Console
from rich.table import Table
from subjects import ADVERSARIAL, PROVABLE, has_data, mnist_test, published
from torch import Tensor

from invspec.execution.execute import execute
from invspec.execution.pools.local import LocalExecutor
from invspec.execution.store import Store
from invspec.plan import planner
from invspec.spec import document, resolve

# largest accepted difference in robust accuracy
TOLERANCE = 0.005
THREE = ("apgd", "apgd_targeted", "square")
CASES = (Case(ADVERSARIAL, 0.3), Case(PROVABLE, 0.1))
OURS, AUTHORS = "autoattack", "the authors' code"


@dataclass(frozen=True)
class Row:
    """A net, the radius of the linf ball, and whether each image withstands, by attack: (N,)."""

    case: Case
    right: dict[str, Tensor]

    def accuracy(self, attack: str) -> float:
        return float(self.right[attack].double().mean())

    def gap(self, reference: str) -> float:
        """Robust accuracy under the worst of three attacks, above that under the reference."""
        return self.accuracy("worst") - self.accuracy(reference)

    def only(self, attack: str, other: str) -> int:
        """The number of images that other breaks and attack does not."""
        return int((self.right[attack] & ~self.right[other]).sum())


def spec(case: Case, images: int) -> dict[str, Any]:
    attack = {"eps": case.eps, "sample": {"limit": images}}
    single = {label: {"use": "accuracy", "of": label} for label in (*THREE, OURS)}
    return {
        "title": "The worst of three attacks and AutoAttack",
        "datasets": {"mnist": {}},
        "models": {"cnn_a": {}},
        "defences": {case.checkpoint: {}},
        "attacks": {label: dict(attack) for label in (*THREE, OURS)},
        "measures": {**single, "worst": {"use": "accuracy", "of": list(THREE)}},
        "train": [{"dataset": "mnist", "model": "cnn_a", "defence": case.checkpoint}],
        "checks": "none",
    }


def measured(case: Case, images: int, store: Store) -> dict[str, Tensor]:
    """Whether each image withstands each attack of the spec, and the worst of three."""
    text = yaml.safe_dump(spec(case, images), sort_keys=False)
    plan = planner.plan(resolve.resolve(document.parse(text, "worst_case.yaml")))
    list(execute([cell.goal for cell in plan.cells], store, LocalExecutor()))
    right: dict[str, Tensor] = {}
    for cell in plan.cells:
        rows = store.load(cell.goal).rows
        assert rows is not None
        assert rows[0].outcomes is not None
        right[str(cell.coords["measure"])] = rows[0].outcomes.values.bool()
    return right


def withstands_authors(case: Case, images: int, batch_size: int) -> Tensor:
    """Whether each image withstands the authors' AutoAttack: (N,)."""
    net, batch = published(case.checkpoint), mnist_test(images)
    x_adv = theirs(case, net, batch, batch_size)
    with torch.no_grad():
        return net(x_adv).argmax(1) == batch.y


def evaluate(case: Case, images: int, batch_size: int, store: Store) -> Row:
    authors = withstands_authors(case, images, batch_size)
    return Row(case, {**measured(case, images, store), AUTHORS: authors})


def table_of(rows: list[Row], images: int) -> Table:
    attacks = (*THREE, "worst", OURS, AUTHORS)
    title = f"Robust accuracy (%), the first {images} test images, norm linf"
    alone = (f"only one of worst, {reference} breaks" for reference in (OURS, AUTHORS))
    table = Table("checkpoint", "eps", *attacks, *alone, title=title, title_justify="left")
    for row in rows:
        shares = (f"{100 * row.accuracy(attack):.2f}" for attack in attacks)
        counts = (
            f"{row.only(reference, 'worst')}, {row.only('worst', reference)}"
            for reference in (OURS, AUTHORS)
        )
        table.add_row(row.case.checkpoint, f"{row.case.eps:g}", *shares, *counts)
    return table


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [case.checkpoint for case in CASES]
    parser.add_argument("--checkpoint", choices=names, help="one checkpoint (default: both)")
    parser.add_argument("--images", type=int, default=1000, help="first images of the test split")
    parser.add_argument(
        "--batch-size", type=int, default=250, help="images the authors' code takes"
    )
    parser.add_argument("--store", type=Path, help="folder of stored results (default: a new one)")
    options = parser.parse_args()
    # files have no width, and the table needs more than 80 columns
    console = Console(width=None if sys.stdout.isatty() else 140)
    if not has_data():
        console.print("INVSPEC_DATA must name the folder with MNIST and checkpoints")
        return 2
    store = Store(options.store or Path(mkdtemp(prefix="worst-case-")))
    torch.set_num_threads(1)
    # the authors' code raises warnings of its own
    warnings.simplefilter("ignore")
    logging.getLogger("auto-attack").setLevel(logging.ERROR)
    cases = [case for case in CASES if options.checkpoint in (None, case.checkpoint)]
    rows = [evaluate(case, options.images, options.batch_size, store) for case in cases]
    console.print(table_of(rows, options.images))
    gaps = [(row, reference, row.gap(reference)) for row in rows for reference in (OURS, AUTHORS)]
    for row, reference, gap in gaps:
        word = "held  " if abs(gap) <= TOLERANCE else "missed"
        within = f"within {100 * TOLERANCE} points of {reference}: {100 * gap:+.2f}"
        console.print(f"{word}  {row.case.checkpoint}: {within}")
    return 0 if all(abs(gap) <= TOLERANCE for _, _, gap in gaps) else 1


if __name__ == "__main__":
    raise SystemExit(main())
