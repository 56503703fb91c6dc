"""What the checks find of masked, honest and published nets, and the seconds that they take.

uv run python benchmarks/checks.py           # nets trained on digits, behind masks
INVSPEC_DATA=~/data uv run python benchmarks/checks.py published

One line a net: accuracy, accuracy under PGD, seconds of CPU, the checks that fail and, of those
that pass, the values above 0.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import cast

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "checks"))

from masks import ATTACK, BROKEN, HONEST, MASKS, attacked, behind, images
from test_checkpoints import CHECKPOINTS, published

from invspec.attacks.identity import Identity
from invspec.attacks.pgd import PGD
from invspec.data import Finding, Split
from invspec.kinds import Check
from invspec.ops.draws import PerExample
from invspec.perform.proxies import Padded
from invspec.registry.cards import names
from invspec.registry.methods import make


def examined(model: nn.Module, attack: PGD, split: Split) -> tuple[str, dict[str, Finding]]:
    """Accuracies and seconds in words, and the finding of each check."""
    net = Padded(model)
    clean, broken = (attacked(net, used, split) for used in (Identity(), attack))
    began, findings = time.process_time(), dict[str, Finding]()
    for name in names("check"):
        check = cast(Check, make("check", name, {}))
        if check.about_attack and not check.applies(attack):
            continue
        used, examples = (attack, broken) if check.about_attack else (None, clean)
        rng = PerExample("check", split.index)
        findings[name] = check.examine(net, used, examples, rng)
    seconds = time.process_time() - began
    accuracy, robust = (
        correct.float().mean().item()
        for correct in (clean.judged.correct_adv, broken.judged.correct_adv)
    )
    return f"clean {accuracy:.2f} pgd {robust:.2f} {seconds:5.1f} s", findings


def report(name: str, model: nn.Module, attack: PGD, split: Split) -> None:
    """Print the line of a net."""
    numbers, findings = examined(model, attack, split)
    failed = [f"{n} {f.measured.value:.2f}" for n, f in findings.items() if f.status == "fails"]
    small = [
        f"{n} {f.measured.value:.3f}"
        for n, f in findings.items()
        if f.status == "passes" and f.measured.value and n not in ("alive", "reach")
    ]
    print(
        f"{name:36} {numbers}  FAILS {', '.join(failed) or '-'}  passes {', '.join(small) or '-'}"
    )


def masked() -> None:
    """Nets trained on digits."""
    masks = MASKS | {name: mask for name, (mask, _) in BROKEN.items()} | HONEST
    for name, mask in masks.items():
        report(name, behind(mask), ATTACK, images(128))


def checkpoints() -> None:
    """The published nets, in two balls each."""
    for name, (_, _, radii) in CHECKPOINTS.items():
        net, split = published(name)
        for eps in radii:
            report(f"{name} eps {eps:.3f}", net, PGD(eps=eps, steps=40), split)


if __name__ == "__main__":
    torch.set_num_threads(1)
    checkpoints() if "published" in sys.argv else masked()
