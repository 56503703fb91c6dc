"""Is the worst of three attacks as strong as AutoAttack?

    INVSPEC_DATA=.data uv run python benchmarks/worst_case.py [--images 1000] [--store FOLDER]

Robust accuracy under the worst of APGD, targeted APGD and Square must be within half a point of
that under AutoAttack, which adds FAB and runs each attack on what the ones before it have left.
Both are measures of one spec. `autoattack.py` compares AutoAttack with its authors' code.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table
from subjects import ADVERSARIAL, PROVABLE, has_data
from torch import Tensor

from invspec.execution.execute import execute
from invspec.execution.pools.local import LocalExecutor
from invspec.execution.store import Store
from invspec.plan import planner
from invspec.spec import document, resolve

# largest accepted difference in robust accuracy
TOLERANCE = 0.005
THREE = ("apgd", "apgd_targeted", "square")
CASES = ((ADVERSARIAL, 0.3), (PROVABLE, 0.1))


@dataclass(frozen=True)
class Row:
    """A net, the radius of the linf ball, and whether each image withstands, by measure: (N,)."""

    checkpoint: str
    eps: float
    right: dict[str, Tensor]

    def accuracy(self, measure: str) -> float:
        return float(self.right[measure].double().mean())

    @property
    def gap(self) -> float:
        """Robust accuracy under the worst of three attacks, above that under AutoAttack."""
        return self.accuracy("worst") - self.accuracy("autoattack")

    def only(self, measure: str, other: str) -> int:
        """The number of images that withstand one and not the other."""
        return int((self.right[measure] & ~self.right[other]).sum())


def spec(checkpoint: str, eps: float, images: int) -> dict[str, Any]:
    attack = {"eps": eps, "sample": {"limit": images}}
    single = {label: {"use": "accuracy", "of": label} for label in (*THREE, "autoattack")}
    return {
        "title": "The worst of three attacks and AutoAttack",
        "datasets": {"mnist": {}},
        "models": {"cnn_a": {}},
        "defences": {checkpoint: {}},
        "attacks": {label: dict(attack) for label in (*THREE, "autoattack")},
        "measures": {**single, "worst": {"use": "accuracy", "of": list(THREE)}},
        "train": [{"dataset": "mnist", "model": "cnn_a", "defence": checkpoint}],
    }


def evaluate(checkpoint: str, eps: float, images: int, store: Store) -> Row:
    text = yaml.safe_dump(spec(checkpoint, eps, images), sort_keys=False)
    plan = planner.plan(resolve.resolve(document.parse(text, "worst_case.yaml")))
    list(execute([cell.goal for cell in plan.cells], store, LocalExecutor()))
    right: dict[str, Tensor] = {}
    for cell in plan.cells:
        rows = store.load(cell.goal).rows
        assert rows is not None
        assert rows[0].outcomes is not None
        right[str(cell.coords["measure"])] = rows[0].outcomes.values.bool()
    return Row(checkpoint, eps, right)


def table_of(rows: list[Row], images: int) -> Table:
    headings = ("checkpoint", "eps", *THREE, "the worst of them", "autoattack", "only one breaks")
    title = f"Robust accuracy (%), the first {images} test images, norm linf"
    table = Table(*headings, title=title, title_justify="left")
    for row in rows:
        shares = (row.accuracy(measure) for measure in (*THREE, "worst", "autoattack"))
        alone = f"{row.only('autoattack', 'worst')}, {row.only('worst', 'autoattack')}"
        values = (f"{100 * share:.2f}" for share in shares)
        table.add_row(row.checkpoint, f"{row.eps:g}", *values, alone)
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
    store = Store(options.store or Path(mkdtemp(prefix="worst-case-")))
    rows = [evaluate(*case, options.images, store) for case in CASES]
    console.print(table_of(rows, options.images))
    for row in rows:
        word = "held  " if abs(row.gap) <= TOLERANCE else "missed"
        within = f"within {100 * TOLERANCE} points of autoattack: {100 * row.gap:+.2f}"
        console.print(f"{word}  {row.checkpoint}: {within}")
    return 0 if all(abs(row.gap) <= TOLERANCE for row in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
