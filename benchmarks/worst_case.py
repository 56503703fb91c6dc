"""Is the worst of three attacks as strong as AutoAttack?

    INVSPEC_DATA=.data uv run --group bench python benchmarks/worst_case.py [--images 1000]

Robust accuracy under the worst of APGD, targeted APGD and Square must be within half a point of
that under AutoAttack, which adds FAB and runs each attack on what the ones before it have left.
Both are measures of one spec. The third number is of the authors' own code.
"""

from __future__ import annotations

import argparse
import logging
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
from subjects import ADVERSARIAL, PROVABLE, has_data, mnist_test, published, robust_accuracy

from invspec.execution.execute import execute
from invspec.execution.pools.local import LocalExecutor
from invspec.execution.store import Store
from invspec.plan import planner
from invspec.spec import document, resolve

# largest accepted difference in robust accuracy
TOLERANCE = 0.005
CASES = (Case(ADVERSARIAL, 0.3), Case(PROVABLE, 0.1))
THREE = ("apgd", "apgd_targeted", "square")


@dataclass(frozen=True)
class Row:
    """Robust accuracies in one case: by measure, and under the authors' code."""

    case: Case
    ours: dict[str, float]
    theirs: float

    @property
    def gap(self) -> float:
        """Robust accuracy under the worst of three attacks, above that under AutoAttack."""
        return self.ours["worst"] - self.ours["autoattack"]


def spec(case: Case, images: int) -> dict[str, Any]:
    attack = {"eps": case.eps, "sample": {"limit": images}}
    single = {label: {"use": "accuracy", "of": label} for label in (*THREE, "autoattack")}
    return {
        "title": "The worst of three attacks and AutoAttack",
        "datasets": {"mnist": {}},
        "models": {"cnn_a": {}},
        "defences": {case.checkpoint: {}},
        "attacks": {label: dict(attack) for label in (*THREE, "autoattack")},
        "measures": {**single, "worst": {"use": "accuracy", "of": list(THREE)}},
        "train": [{"dataset": "mnist", "model": "cnn_a", "defence": case.checkpoint}],
    }


def measured(case: Case, images: int, store: Store) -> dict[str, float]:
    text = yaml.safe_dump(spec(case, images), sort_keys=False)
    plan = planner.plan(resolve.resolve(document.parse(text, "worst_case.yaml")))
    list(execute([cell.goal for cell in plan.cells], store, LocalExecutor()))
    accuracies: dict[str, float] = {}
    for cell in plan.cells:
        rows = store.load(cell.goal).rows
        assert rows is not None
        (row,) = rows
        assert row.outcomes is not None
        accuracies[str(cell.coords["measure"])] = float(row.outcomes.values.double().mean())
    return accuracies


def evaluate(case: Case, images: int, store: Store) -> Row:
    net, batch = published(case.checkpoint), mnist_test(images)
    accuracies = measured(case, images, store)
    x_adv = theirs(case, net, batch, batch_size=250)
    return Row(case, accuracies, robust_accuracy(net, x_adv, batch.y))


def table_of(rows: list[Row], images: int) -> Table:
    names = (*THREE, "worst", "autoattack")
    headings = ("checkpoint", "eps", *THREE, "the worst of them", "autoattack", "the authors'")
    title = f"Robust accuracy (%), the first {images} test images, norm linf"
    table = Table(*headings, title=title, title_justify="left")
    for row in rows:
        shares = (*(row.ours[name] for name in names), row.theirs)
        values = (f"{100 * share:.2f}" for share in shares)
        table.add_row(row.case.checkpoint, str(row.case.eps), *values)
    return table


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=1000, help="first images of the test split")
    parser.add_argument("--store", type=Path, help="folder of stored results (default: a new one)")
    options = parser.parse_args()
    console = Console()
    if not has_data():
        console.print("INVSPEC_DATA must name the folder with MNIST and checkpoints")
        return 2
    torch.set_num_threads(1)
    # the authors' code raises warnings of its own
    warnings.simplefilter("ignore")
    logging.getLogger("auto-attack").setLevel(logging.ERROR)
    store = Store(options.store or Path(mkdtemp(prefix="worst-case-")))
    rows = [evaluate(case, options.images, store) for case in CASES]
    console.print(table_of(rows, options.images))
    for row in rows:
        word = "held  " if abs(row.gap) <= TOLERANCE else "missed"
        within = f"within {100 * TOLERANCE} points of autoattack: {100 * row.gap:+.2f}"
        console.print(f"{word}  {row.case.checkpoint}: {within}")
    return 0 if all(abs(row.gap) <= TOLERANCE for row in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
