from typing import ClassVar

import torch
from check_toys import attack, deployed, examples
from torch import nn

from invspec.data import Finding
from invspec.diagnostics.findings import at_most
from invspec.diagnostics.image_check import Chosen, ImageCheck
from invspec.kinds import Attack
from invspec.ops.draws import PerExample


class Seen(ImageCheck):
    """Remembers what it was shown."""

    chosen: ClassVar[list[Chosen]] = []

    def examine_chosen(self, model: nn.Module, attack: Attack | None, chosen: Chosen) -> Finding:
        self.chosen[:] = [chosen]
        return at_most(0.0, torch.zeros(len(chosen), dtype=torch.bool), "", "")


class SeenAll(Seen):
    all_images: ClassVar[bool] = True


def shown(check: Seen) -> Chosen:
    model = deployed()
    seen = examples(model, attack())
    check.examine(model, attack(), seen, PerExample("check", seen.judged.index))
    return check.chosen[0]


def test_the_images_are_the_first_that_are_classified_correctly() -> None:
    # of the toys' examples, whose indices start at 7, every fifth has a wrong label
    assert shown(Seen(images=5)).batch.index.tolist() == [8, 9, 10, 11, 13]
    assert shown(SeenAll(images=5)).batch.index.tolist() == [7, 8, 9, 10, 11]


def test_rows_of_images_attacked_images_and_draws_belong_together() -> None:
    chosen, model = shown(Seen(images=9)), deployed()
    assert torch.equal(model(chosen.x_adv).argmax(1) == chosen.batch.y, chosen.standing)
    assert torch.equal(
        chosen.rng.uniform((9, 2)), PerExample("check", chosen.batch.index).uniform((9, 2))
    )
    survivors = chosen.survivors
    assert len(survivors) == int(chosen.standing.sum())
    assert torch.equal(survivors.batch.index, chosen.batch.index[chosen.standing])


def test_a_net_that_classifies_nothing_correctly_is_skipped() -> None:
    model = deployed()
    seen = examples(model, None)
    seen.judged.y[:] = (seen.judged.prediction + 1) % 4
    finding = Seen().examine(model, None, seen, PerExample("check", seen.judged.index))
    assert (finding.status, finding.reason) == (
        "skipped",
        "none of 24 images is classified correctly",
    )
