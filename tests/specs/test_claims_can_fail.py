"""Every claim of every shipped spec can hold and can fail."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from claim_worlds import single_trainings, unseen
from smoke_specs import SPECS
from spec_toys import BASE

from invspec.plan import planner
from invspec.plan.cells import Plan
from invspec.spec import overlay, resolve
from invspec.spec.document import Document

SCALES = [(path, scale) for path in SPECS for scale in (None, *overlay.load(path).scales)]


@pytest.mark.parametrize(
    ("path", "scale"),
    [
        pytest.param(path, scale, marks=() if scale in (None, "laptop") else pytest.mark.slow)
        for path, scale in SCALES
    ],
    ids=[f"{path.stem}-{scale or 'full'}" for path, scale in SCALES],
)
def test_every_claim_can_hold_and_fail_and_so_can_its_premises(
    path: Path, scale: str | None
) -> None:
    plan = planner.plan(overlay.load(path, scale))
    stuck = {
        f"{claim.says}: in no world it {' or '.join(never)}"
        for number, claim in enumerate(plan.spec.claims)
        if (never := unseen(plan, number))
    }
    assert not stuck


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_no_claim_needs_more_seeds_than_its_spec_has(path: Path) -> None:
    plan = planner.plan(overlay.load(path))
    numbers = range(len(plan.spec.claims))
    assert not [says for number in numbers for says in single_trainings(plan, number)]


# ─ claims that come out one way ───────────────────────────────────────────────────────────────────


def claiming(**claim: Any) -> Plan:
    attacks = {"pgd": {"eps": {"sweep": [0.1, 0.2]}}}
    defences = {
        "standard": {"epochs": {"sweep": [1, 2]}},
        "twin": {"use": "standard", "epochs": 1},
    }
    lines = [{"dataset": "fake", "model": "linear", "defence": list(defences)}]
    values = {
        **BASE,
        "attacks": attacks,
        "defences": defences,
        "train": lines,
        "claims": [{"says": "it", **claim}],
    }
    return planner.plan(resolve.resolve(Document("x.yaml", values)))


AT = {"pgd.eps": 0.1, "standard.epochs": 1}
PICK = {"value": {"measure": "accuracy", "at": AT}}


def bound(**range_: float) -> dict[str, Any]:
    return {"expect": {"value": range_}}


ONE_WAY: dict[str, tuple[dict[str, Any], list[str]]] = {
    "two-sided": ({**PICK, **bound(above=0.999)}, []),
    "a share above 0": ({**PICK, **bound(above=0)}, ["fails"]),
    "a share above 2": ({**PICK, **bound(above=2)}, ["holds"]),
    "alternatives that leave nothing out": (
        {
            **PICK,
            "one_of": [{"says": "low", **bound(below=0.5)}, {"says": "high", **bound(above=0.5)}],
        },
        ["fails"],
    ),
    "alternatives with a gap": (
        {
            **PICK,
            "one_of": [{"says": "low", **bound(below=0.5)}, {"says": "high", **bound(above=0.51)}],
        },
        [],
    ),
    "a premise that contradicts it": (
        {**PICK, **bound(above=0.5), "given": {**PICK, **bound(below=0.4)}},
        ["holds"],
    ),
    "a premise that says it": (
        {**PICK, **bound(above=0.5), "given": {**PICK, **bound(above=0.6)}},
        ["fails"],
    ),
    "a premise that is always true": (
        {**PICK, **bound(above=0.5), "given": {**PICK, **bound(above=-1)}},
        ["a premise fails"],
    ),
    "a difference of one net under two names": (
        {
            "compare": {
                "measure": "accuracy",
                "at": {"pgd.eps": 0.1},
                "of": {"defence": "standard", "standard.epochs": 1},
                "to": {"defence": "twin"},
            },
            "expect": {"difference": {"above": 0}},
        },
        ["holds", "fails"],
    ),
    "every step of a trend": (
        {
            "trend": {"measure": "accuracy", "at": {"pgd.eps": 0.1}, "along": "standard.epochs"},
            "expect": {"falling": {"every_step": True}},
        },
        [],
    ),
    "the least of several numbers": (
        {
            "value": {
                "measure": "accuracy",
                "over": {"pgd.eps": "least", "standard.epochs": "least"},
            },
            **bound(above=0.99999),
        },
        [],
    ),
}


@pytest.mark.parametrize(("claim", "never"), ONE_WAY.values(), ids=ONE_WAY)
def test_claims_that_come_out_one_way_are_found(claim: dict[str, Any], never: list[str]) -> None:
    assert unseen(claiming(**claim), 0) == never


def test_a_trend_across_trainings_of_one_seed_is_found() -> None:
    trend = {"trend": {"measure": "accuracy", "at": {"pgd.eps": 0.1}, "along": "standard.epochs"}}
    assert single_trainings(claiming(**trend, expect="falling"), 0) == ["it"]
    along_attack = {
        "trend": {"measure": "accuracy", "at": {"standard.epochs": 1}, "along": "pgd.eps"}
    }
    assert single_trainings(claiming(**along_attack, expect="falling"), 0) == []
