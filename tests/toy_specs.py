"""Specs that several rooms' tests share: sweeps for layouts, and claims on a sweep."""

import json

# Two models, a sweep of a defence, a sweep of an attack.
SWEEPS = """
title: Toy
seeds: [0, 1]
datasets: {digits: {}}
models: {linear: {}, lenet: {}}
defences:
  rotations: {use: rotation_augmentation, max_degrees: {sweep: [0, 180]}}
  plain: {use: standard}
attacks:
  none: {use: identity}
  pgd: {use: pgd_kamath, eps: {sweep: [0, 8/255, 0.1]}}
measures:
  accuracy: {of: none}
  robustness: {use: rate_of_invariance, of: pgd}
train:
  - {dataset: digits, model: [linear, lenet], defence: [rotations, plain]}
"""

# A sweep of a defence and one of an attack, open for claims.
CLAIMED = """
title: Toy
seeds: SEEDS
datasets: {digits: {}}
models: {linear: {}}
defences:
  rotations: {use: rotation_augmentation, max_degrees: {sweep: [0, 90, 180]}}
  plain: {use: standard, lr: 0.02}
attacks:
  pgd: {eps: {sweep: [0, 8/255, 0.1]}}
measures:
  robustness: {use: rate_of_invariance, of: pgd}
train:
  - {dataset: digits, model: linear, defence: [rotations, plain]}
claims:
"""
CELL = {"defence": "rotations", "rotations.max_degrees": 90, "pgd.eps": 0.1}


def spec(*claims, seeds=(0,)):
    listed = "".join(f"  - {json.dumps(claim)}\n" for claim in claims)
    return CLAIMED.replace("SEEDS", str(list(seeds))) + listed


def value(bound, at=None, **pick):
    at = CELL if at is None else at
    return {
        "says": "it",
        "value": {"measure": "robustness", "at": at, **pick},
        "expect": {"value": bound},
    }


def compare(bound, statistic="difference", **pick):
    sides = {"of": {"rotations.max_degrees": 180}, "to": {"rotations.max_degrees": 0}}
    return {
        "says": "it",
        "compare": {"measure": "robustness", "at": {"pgd.eps": 0.1}, **sides, **pick},
        "expect": {statistic: bound},
    }


def trend(expect, **pick):
    return {
        "says": "it",
        "trend": {
            "measure": "robustness",
            "along": "rotations.max_degrees",
            "at": {"pgd.eps": 0.1},
            **pick,
        },
        "expect": expect,
    }


# Nets of two models and two defences, one of them swept, and measures that share coordinates.
TRADE_OFF = """
title: Toy
seeds: [0]
datasets: {digits: {}}
models: {linear: {}, lenet: {}}
defences:
  rotations: {use: rotation_augmentation, max_degrees: {sweep: [0, 180]}}
  plain: {use: standard, lr: 0.02}
attacks:
  none: {use: identity}
  pgd: {eps: {sweep: [0, 0.1, 0.2]}}
  other: {use: pgd, steps: 3, eps: {sweep: [0, 0.1, 0.2]}}
  rotation: {use: random_rotation, max_degrees: {sweep: [0, 90, 180]}}
measures:
  accuracy: {of: none}
  robustness: {use: rate_of_invariance, of: pgd}
  weaker: {use: rate_of_invariance, of: other}
  invariance: {use: rate_of_invariance, of: rotation}
  rotated: {use: robust_accuracy, of: rotation}
train:
  - {dataset: digits, model: [linear, lenet], defence: [rotations, plain]}
claims:
"""


def trade_off(*claims):
    return TRADE_OFF + "".join(f"  - {json.dumps({'says': 'it', **claim})}\n" for claim in claims)
