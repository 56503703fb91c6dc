"""Pictures of a few examples of each attack, for a page."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from workbench import Memory, perturb, train

from invspec.attacks.pgd import PGD
from invspec.datasets.spheres import Spheres
from invspec.errors import InvspecError
from invspec.perform.runtime import Artifact
from invspec.perform.samples import clean_images
from invspec.report import examples
from invspec.tasks import Perturb, Task, key

ATTACK = PGD(eps=0.2, norm="linf", steps=3)


class Kept:
    """A store that computes what it is asked for, but has only some tasks."""

    def __init__(self, *tasks: Task) -> None:
        self.tasks, self.memory = tasks, Memory()
        self.loaded = 0

    def __contains__(self, task: Task, /) -> bool:
        return task in self.tasks

    def load(self, task: Task) -> Artifact:
        self.loaded += 1
        return self.memory.load(task)

    def made(self, task: Task) -> dict[str, Any]:
        raise AssertionError("pictures need no facts of a task")


def pixels(sheet: examples.Sheet) -> np.ndarray[Any, Any]:
    """Rows x examples x height x width of a sheet, in [0, 1]."""
    content = base64.b64decode(sheet.picture.removeprefix("data:image/webp;base64,"))
    levels = np.asarray(Image.open(io.BytesIO(content)).convert("L")) / 255
    count = len(sheet.examples)
    return levels.reshape(3, sheet.height, count, sheet.width).swapaxes(1, 2)


@pytest.fixture
def attack() -> Perturb:
    return perturb(ATTACK)


def test_a_sheet_shows_the_first_examples_before_and_after_and_their_change(
    attack: Perturb,
) -> None:
    store = Kept(attack)
    (sheet,) = examples.collect([attack], store).values()
    x = clean_images(attack).head(6)
    clean = next(iter(x.batches(6))).x[:, 0].numpy()
    x_adv = store.load(attack).tensors["x_adv"][:6, 0].numpy()
    before, after, change = pixels(sheet)
    level = 0.5 / 255 + 1e-6
    np.testing.assert_allclose(before, clean, atol=level)
    np.testing.assert_allclose(after, x_adv, atol=level)
    np.testing.assert_allclose(change, 0.5 + sheet.magnified * (x_adv - clean), atol=level)
    # the largest change is black or white
    assert sheet.magnified == pytest.approx(0.5 / np.abs(x_adv - clean).max())
    assert {change.min(), change.max()} & {0.0, 1.0}


def test_its_numbers_are_those_of_the_judged_examples(attack: Perturb) -> None:
    store = Kept(attack)
    (sheet,) = examples.collect([attack], store).values()
    judged = store.load(attack).tensors
    for place, example in enumerate(sheet.examples):
        assert example.index == judged["index"][place]
        assert example.label == judged["y"][place]
        assert (example.before, example.after) == (
            judged["prediction"][place],
            judged["prediction_adv"][place],
        )
        assert example.confidence_after == pytest.approx(float(judged["confidence_adv"][place]))
        assert example.linf == pytest.approx(float(judged["linf"][place]))
    assert len(sheet.examples) == examples.COUNT


def test_what_is_not_computed_has_no_sheet(attack: Perturb) -> None:
    assert examples.collect([attack], Kept()) == {}


def test_points_that_are_no_pictures_have_none() -> None:
    task = perturb(ATTACK, train(dataset=Spheres(d=5)))
    assert examples.collect([task], Kept(task)) == {}


def test_clean_images_that_cannot_be_read_here_leave_a_page_without_pictures(
    attack: Perturb, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Kept(attack)
    store.load(attack)

    def absent(task: Perturb) -> None:
        raise InvspecError("no such data")

    monkeypatch.setattr(examples, "clean_images", absent)
    assert examples.collect([attack], store) == {}


def test_a_page_has_as_many_sheets_as_it_can_hold(
    attack: Perturb, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = perturb(ATTACK, train(seed=1))
    both = examples.collect([attack, other], Kept(attack, other))
    assert list(both) == [key(attack), key(other)]
    monkeypatch.setattr(examples, "MOST_BYTES", len(both[key(attack)].picture) + 10)
    assert list(examples.collect([attack, other], Kept(attack, other))) == [key(attack)]


def test_a_sheet_is_drawn_once_for_a_store(attack: Perturb, tmp_path: Path) -> None:
    store = Kept(attack)
    first = examples.collect([attack], store, tmp_path)
    loaded = store.loaded
    assert examples.collect([attack], store, tmp_path) == first
    assert store.loaded == loaded
    (file,) = tmp_path.iterdir()
    file.write_text("{")
    assert examples.collect([attack], store, tmp_path) == first


def test_large_images_are_made_small() -> None:
    x = torch.zeros(2, 3, 200, 100)
    picture, magnified = examples._picture(x, x, (0.0, 1.0))
    assert picture.shape == (3 * 50, 2 * 25, 3)
    assert magnified == 1
