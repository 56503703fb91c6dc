"""Cheap versions of a spec."""

from __future__ import annotations

import math
from typing import Any, cast

from spec_toys import resolved

from invspec.attacks.pgd import PGD
from invspec.kinds import Sample


def test_smoke_is_the_cheapest_version_of_a_spec() -> None:
    full = resolved(
        seeds=[3, 4],
        datasets={"mnist": {}},
        attacks={"pgd": {"eps": {"sweep": [0.1, 0.2]}, "steps": 40, "sample": {"per_class": 100}}},
        defences={"standard": {"epochs": 20}},
        train=[{"dataset": "mnist", "model": "linear", "defence": "standard"}],
    )
    small = full.smoke()
    data: Any = small.entries["datasets"]["mnist"].variants[0].method
    assert (type(data).__name__, data.shape, data.classes, data.bounds) == (
        "Fake",
        (1, 28, 28),
        10,
        (0.0, 1.0),
    )
    pgd = small.entries["attacks"]["pgd"]
    assert [variant.method for variant in pgd.variants] == [
        PGD(eps=0.1, steps=2),
        PGD(eps=0.2, steps=2),
    ]
    assert [variant.coords for variant in pgd.variants] == [{"pgd.eps": 0.1}, {"pgd.eps": 0.2}]
    assert pgd.sample == Sample(limit=8)
    assert small.entries["defences"]["standard"].variants[0].method.epochs == 1
    assert small.seeds == (3,)
    assert (small.title, small.claims, small.train, small.source) == (
        full.title,
        full.claims,
        full.train,
        full.source,
    )


def swept(**fields: Any) -> dict[tuple[Any, ...], PGD]:
    """The attacks of a smoke run by their coordinates."""
    small = resolved(attacks={"pgd": fields}).smoke()
    variants = small.entries["attacks"]["pgd"].variants
    return {tuple(variant.coords.values()): cast(PGD, variant.method) for variant in variants}


def test_smoke_computes_the_first_and_the_last_value_of_a_sweep_of_numbers() -> None:
    attacks = swept(eps={"sweep": [0, 0.3, 0.2, 0.1]})
    assert {place: attack.eps for place, attack in attacks.items()} == {
        **{(0,): 0, (0.3,): 0.1},
        **{(0.2,): 0.1, (0.1,): 0.1},
    }


def test_smoke_computes_all_values_of_a_sweep_of_words() -> None:
    losses = ["ce", "dlr", "margin"]
    attacks = swept(eps={"sweep": [0.1, 0.2, 0.3]}, loss={"sweep": losses})
    assert {place: (attack.eps, attack.loss) for place, attack in attacks.items()} == {
        (eps, loss): (0.1 if eps == 0.1 else 0.3, loss)
        for eps in (0.1, 0.2, 0.3)
        for loss in losses
    }


def test_smoke_of_smoke_is_smoke() -> None:
    small = resolved().smoke()
    assert (small.smoke().entries, small.smoke().seeds) == (small.entries, small.seeds)


def test_smoke_keeps_bounds_that_are_infinite() -> None:
    small = resolved(datasets={"fake": {"bounds": [None, 3.0]}}).smoke()
    assert small.entries["datasets"]["fake"].variants[0].method.bounds == (-math.inf, 3.0)
