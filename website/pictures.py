"""Draw the pictures of the site again: of cards, and of the gallery.

    python website/pictures.py            # the cards: a few minutes on two cores
    python website/pictures.py gallery    # runs website/gallery.yaml and keeps its figures

Pictures of attacks show six test digits, what a small net says of each, and what the attack makes
of them. Those of data sets show images of the test split, if its files are in INVSPEC_DATA.
"""

from __future__ import annotations

import shutil
import sys
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from PIL import Image
from torch import Tensor, nn

import invspec
from invspec.data import Journal, TensorSplit
from invspec.datasets.digits import Digits
from invspec.defences.standard import Standard
from invspec.kinds import Dataset
from invspec.models.mlp import MLP
from invspec.ops.draws import Stream
from invspec.registry import methods

FOLDER = Path(__file__).parents[1] / "docs" / "pictures"
GALLERY = Path(__file__).with_name("gallery.yaml")
SHOWN = 6
DPI = 80
COLOURS = 64
# attacks whose result says more than their summary, with settings that make it plain to see
ATTACKS: dict[str, dict[str, Any]] = {
    "apgd": {"eps": 0.1},
    "ddn": {},
    "deepfool": {},
    "fgsm": {"eps": 0.1},
    "fixed_permutation": {},
    "fixed_rotation": {},
    "fixed_shift": {},
    "fmn": {},
    "pgd": {"eps": 0.1},
    "random_rotation": {"max_degrees": 90},
    "random_shift": {},
    "spatial": {},
    "square": {"eps": 0.1, "queries": 500},
}
# walks from one digit to another
WALKS: dict[str, dict[str, Any]] = {
    "lst": {},
    "nspgd": {"step_size": 0.1},
    "nspgd_free": {"step_mode": "fraction", "steps": 100},
    "nspgd_printed": {"step_size": 0.1},
    "nspgd_published": {},
    "nspgd_text": {"step_size": 0.1},
}
DATASETS: dict[str, dict[str, Any]] = {
    "cifar10": {},
    "digits": {},
    "fake": {},
    "human_invariance": {},
    "mnist": {},
    "shapes": {},
}


def main(names: list[str]) -> None:
    """Draw the gallery if it is named, else the cards."""
    if names == ["gallery"]:
        draw_gallery()
        return
    for name, fields in DATASETS.items():
        draw_dataset(name, fields)
    digits = Digits().load("test")
    (batch,) = digits.head(200).batches(200)
    net = trained()
    for name, fields in ATTACKS.items():
        attacked = invspec.attack(name, **fields)(net, batch.x[:SHOWN], batch.y[:SHOWN])
        columns = {"clean": batch.x[:SHOWN], name: attacked.x_adv}
        save(columns, net, "attack", name)
    first = [int((batch.y == digit).nonzero()[0]) for digit in range(SHOWN + 1)]
    sources, targets = first[:-1], first[1:]
    for name, fields in WALKS.items():
        walked = invspec.attack(name, **fields)(
            net, batch.x[sources], batch.y[sources], batch.x[targets], batch.y[targets]
        )
        rows = {"from": batch.x[sources], "end": walked.x_adv, "towards": batch.x[targets]}
        save(rows, net, "attack", name)


def trained() -> nn.Module:
    """A small net for digits, trained for half a minute."""
    torch.manual_seed(0)
    model = MLP().build((1, 28, 28), 10)
    Standard(epochs=20).train(model, Digits().load("train"), Stream("pictures"), Journal())
    return model.eval().requires_grad_(False)


def save(rows: dict[str, Tensor], net: nn.Module, kind: str, name: str) -> None:
    """Draw rows of images (N, 1, H, W), each image with the net's label and confidence above it."""
    figure, places = grid(len(rows), SHOWN, height=1.25)
    for line, (title, images) in zip(places, rows.items(), strict=True):
        with torch.no_grad():
            confidences, labels = net(images).softmax(1).max(1)
        for axes, image, label, confidence in zip(line, images, labels, confidences, strict=True):
            show(axes, image)
            axes.set_title(f"{label:d}: {confidence:.2f}", fontsize=8, pad=2)
        line[0].set_ylabel(title, fontsize=8)
    store(figure, kind, name)


def draw_dataset(name: str, fields: dict[str, Any]) -> None:
    """Draw the first images of a data set, each with its label."""
    dataset = cast(Dataset, methods.make("dataset", name, fields))
    split = cast(TensorSplit, dataset.load("test")).head(2 * SHOWN)
    (batch,) = split.batches(2 * SHOWN)
    figure, places = grid(2, SHOWN, height=1.25)
    for axes, image, label in zip(places.flat, batch.x, batch.y, strict=True):
        show(axes, image)
        axes.set_title(f"{label:d}", fontsize=8, pad=2)
    store(figure, "dataset", name)


def grid(rows: int, columns: int, height: float) -> tuple[Any, Any]:
    """A figure with places for images."""
    return plt.subplots(
        rows, columns, figsize=(1.1 * columns, height * rows), layout="compressed", squeeze=False
    )


def show(axes: Axes, image: Tensor) -> None:
    """Draw an image (C, H, W)."""
    pixels = image.clamp(0, 1).movedim(0, -1).squeeze(-1).numpy()
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=1)
    axes.set(xticks=[], yticks=[])


def store(figure: Any, kind: str, name: str) -> None:
    """Keep a figure as a small file."""
    path = FOLDER / kind / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    drawn = BytesIO()
    figure.savefig(drawn, dpi=DPI)
    plt.close(figure)
    # few colours are enough, and keep the repository small
    Image.open(drawn).convert("RGB").quantize(COLOURS).save(path, optimize=True)
    print(path, flush=True)


def draw_gallery() -> None:
    """Run the spec of the gallery and keep its figures, but not the curves of its trainings."""
    with TemporaryDirectory() as folder:
        results = invspec.run(GALLERY, store=Path(folder, "store"), workers=1)
        results.page(Path(folder, "page"))
        for figure in Path(folder, "page", "figures").glob("*.svg"):
            if "training" not in figure.stem:
                shutil.copy(figure, FOLDER / "gallery")


if __name__ == "__main__":
    plt.switch_backend("agg")
    main(sys.argv[1:])
