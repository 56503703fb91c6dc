from __future__ import annotations

from typing import cast

import torch
from attack_toys import batch_of, deployed
from linear_toys import linear, spread
from masks import attacked, finding

from invspec.attacks.lst import LST
from invspec.attacks.nspgd import NSPGD
from invspec.attacks.pgd import PGD
from invspec.data import Finding, TensorSplit
from invspec.kinds import Attack, Check
from invspec.ops.draws import PerExample
from invspec.perform.pairs import PairedSplit
from invspec.registry.methods import make


def check() -> Check:
    return cast(Check, make("check", "walk_budget", {}))


def found(attack: Attack) -> Finding:
    """What the check finds of walks between images of noise."""
    batch, model = batch_of(24), deployed("nspgd")
    images = TensorSplit(torch.cat([batch.x, batch.targets]), torch.cat([batch.y, batch.y]))
    rows = torch.arange(24)
    pairs = PairedSplit(images, rows, rows + 24, rows)
    return check().examine(model, attack, attacked(model, attack, pairs), PerExample("c", rows))


def test_walks_with_too_few_steps_are_counted() -> None:
    few = found(NSPGD(max_drop=1, steps=10))
    assert (few.status, few.measured.value) == ("fails", 1.0)
    assert few.reason.startswith(
        "24 of 24 walks were on their way to their target when their steps"
    )
    assert not check().gates


def test_steps_that_suffice_pass() -> None:
    assert found(NSPGD(max_drop=1, projection="none")).status == "passes"
    # 100 steps of 5 % leave 0.6 % of the distance
    assert found(NSPGD(max_drop=1, projection="none", step_mode="fraction")).status == "passes"


def test_it_is_about_walks() -> None:
    assert check().applies(NSPGD())
    assert check().applies(LST())
    assert not check().applies(PGD())
    silent = finding("walk_budget", linear(), PGD(eps=0.1, steps=2), spread())
    assert silent.status == "skipped"
