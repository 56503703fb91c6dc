"""Syncs, copies from the host and launches per update of trainings and attacks.

Every case runs with a few updates and with more; their difference leaves out what start and end
cost. Runs in the child process.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any
from unittest.mock import patch

import torch
from pretend_counts import Counts, counting
from pretend_device import NAME
from torch import nn

from invspec.attacks.apgd import APGD
from invspec.attacks.ddn import DDN
from invspec.attacks.deepfool import DeepFool
from invspec.attacks.fab import FAB
from invspec.attacks.fmn import FMN
from invspec.attacks.nspgd import NSPGD
from invspec.attacks.pgd import PGD
from invspec.attacks.pgd_conf import PGDConf
from invspec.data import Journal, TensorSplit
from invspec.defences.likelihood import Likelihood
from invspec.defences.lpips_ccat import LPIPSCCAT
from invspec.defences.standard import Standard
from invspec.kinds import Attack, Defence
from invspec.models.firevnet import FiRevNet
from invspec.models.small_conv import SmallConv
from invspec.ops.draws import PerExample, Stream
from invspec.training import log

SHAPE, CLASSES, BATCH = (1, 8, 8), 4, 8
FEW, MORE = 3, 8


def net() -> nn.Module:
    torch.manual_seed(0)
    return SmallConv().build(SHAPE, CLASSES).to(NAME)


def flow() -> nn.Module:
    torch.manual_seed(0)
    return FiRevNet(stages=2, blocks=1, width=8, readout="first").build(SHAPE, CLASSES).to(NAME)


def images(n: int) -> TensorSplit:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (n, *SHAPE), generator=generator).to(torch.uint8)
    return TensorSplit(pixels, torch.arange(n) % CLASSES).to(NAME)


def training(defence: Defence, build: Callable[[], nn.Module] = net) -> Callable[[int], None]:
    """Train for a number of updates.

    The log reads the losses twice a second, however many updates that is, so here it reads them
    at the end only.
    """

    def run(updates: int) -> None:
        with patch.object(log, "_SECONDS_BETWEEN_REPORTS", float("inf")):
            defence.train(build(), images(BATCH * updates), Stream("task"), Journal())

    return run


def attack(method: Attack) -> Callable[[int], None]:
    """Attack for a number of steps images that the model classifies correctly.

    A radius or drop that is too small for any of them to leave early.
    """

    def run(updates: int) -> None:
        model = net().eval().requires_grad_(False)
        (batch,) = images(BATCH).batches(BATCH)
        batch = replace(batch, y=model(batch.x).argmax(1), x_target=1 - batch.x)
        steps = method.model_copy(update={"steps": updates})
        steps.perturb(model, batch, PerExample("task", batch.index, NAME))

    return run


CCAT = LPIPSCCAT(
    epochs=1,
    batch_size=BATCH,
    attack=PGDConf(eps=0.05, steps=2, step_size=0.02),
    distance="laidlaw_self",
    min_eps=0.02,
)
SHORT: dict[str, Any] = {"epochs": 1, "batch_size": BATCH}
CASES: dict[str, Callable[[int], None]] = {
    "standard training": training(Standard(**SHORT)),
    "rotation augmentation": training(Standard(**SHORT, max_degrees=30)),
    "LPIPS-CCAT": training(CCAT),
    "likelihood": training(Likelihood(**SHORT), flow),
    "PGD linf": attack(PGD(eps=0.01)),
    "PGD l2": attack(PGD(eps=0.01, norm="l2")),
    "NSPGD": attack(NSPGD(step_size=1e-4)),
    "DDN": attack(DDN()),
    "FMN": attack(FMN()),
    "DeepFool": attack(DeepFool()),
    "FAB": attack(FAB()),
    "APGD": attack(APGD(eps=0.001)),
}


@cache
def per_update(case: str) -> dict[str, dict[str, float]]:
    """Events per update at each site: {"sync": {"ops/geometry.py:57": 1.0}, ...}."""
    run = CASES[case]
    few, more = counted(run, FEW), counted(run, MORE)
    events: dict[str, dict[str, float]] = {"sync": {}, "host_copy": {}, "launch": {}}
    for (event, site), count in more.sites.items():
        extra = count - few.sites[event, site]
        if extra:
            events[event][site] = extra / (MORE - FEW)
    return events


def counted(run: Callable[[int], None], updates: int) -> Counts:
    """The events of a run."""
    with counting() as counts:
        run(updates)
    return counts
