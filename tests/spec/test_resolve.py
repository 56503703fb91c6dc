"""From YAML to methods with their sweeps written out."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from invspec.attacks.pgd import PGD
from invspec.attacks.random_rotation import RandomRotation
from invspec.defences.adversarial_training import AdversarialTraining
from invspec.errors import SpecError
from invspec.kinds import Sample
from invspec.spec import document, overlay, resolve
from invspec.spec.resolved import Spec
from invspec.spec.schema import Bound, Claim

BASE: dict[str, Any] = {
    "title": "toy",
    "datasets": {"fake": None},
    "models": {"linear": {}},
    "defences": {"standard": {}},
    "attacks": {"pgd": {}},
    "measures": {"accuracy": {"of": "pgd"}},
    "train": [{"dataset": "fake", "model": "linear", "defence": "standard"}],
}


def resolved(**changes: Any) -> Spec:
    return resolve.resolve(document.Document("x.yaml", {**BASE, **changes}))


def variants(part: str, label: str, **changes: Any) -> list[tuple[dict[str, Any], Any]]:
    return [
        (dict(item.coords), item.method)
        for item in resolved(**changes).entries[part][label].variants
    ]


# ─ entries ────────────────────────────────────────────────────────────────────────────


def test_an_entry_is_the_method_of_its_label_with_its_defaults() -> None:
    assert variants("attacks", "pgd") == [({}, PGD())]


def test_use_names_a_method_other_than_the_label() -> None:
    assert variants("attacks", "turn", attacks={"pgd": {}, "turn": {"use": "random_rotation"}}) == [
        ({}, RandomRotation())
    ]


def test_a_sweep_gives_one_method_a_value_with_its_coordinate() -> None:
    result = variants(
        "attacks", "pgd", attacks={"pgd": {"steps": 3, "eps": {"sweep": [0, "8/255", "1e-1"]}}}
    )
    assert result == [
        ({"pgd.eps": 0.0}, PGD(steps=3, eps=0)),
        ({"pgd.eps": 8 / 255}, PGD(steps=3, eps=8 / 255)),
        ({"pgd.eps": 0.1}, PGD(steps=3, eps=0.1)),
    ]


def test_sweeps_multiply_the_last_one_fastest() -> None:
    result = variants(
        "attacks",
        "pgd",
        attacks={"pgd": {"norm": {"sweep": ["l2", "linf"]}, "steps": {"sweep": [1, 2, 3]}}},
    )
    assert [tuple(coords.values()) for coords, _ in result] == [
        ("l2", 1), ("l2", 2), ("l2", 3), ("linf", 1), ("linf", 2), ("linf", 3)
    ]  # fmt: skip


def test_a_field_of_an_inner_method_can_be_swept() -> None:
    written = {
        "use": "adversarial_training",
        "attack": {"use": "pgd", "eps": {"sweep": [0.1, 0.2]}},
    }
    result = variants("defences", "standard", defences={"standard": written})
    assert result == [
        ({"standard.attack.eps": 0.1}, AdversarialTraining(attack=PGD(eps=0.1))),
        ({"standard.attack.eps": 0.2}, AdversarialTraining(attack=PGD(eps=0.2))),
    ]


def test_a_swept_method_has_its_name_as_coordinate() -> None:
    written = {
        "use": "adversarial_training",
        "attack": {"sweep": [{"use": "pgd"}, {"use": "pgd_mnist", "steps": 3}]},
    }
    result = variants("defences", "standard", defences={"standard": written})
    assert [coords for coords, _ in result] == [
        {"standard.attack": "pgd"},
        {"standard.attack": "pgd_mnist"},
    ]


def test_swept_values_that_are_not_scalars_have_their_text_as_coordinate() -> None:
    result = variants(
        "datasets", "fake", datasets={"fake": {"shape": {"sweep": [[1, 8, 8], [3, 8, 8]]}}}
    )
    assert [coords["fake.shape"] for coords, _ in result] == ["(1, 8, 8)", "(3, 8, 8)"]
    result = variants("attacks", "pgd", attacks={"pgd": {"step_size": {"sweep": [None, 0.1]}}})
    assert [coords["pgd.step_size"] for coords, _ in result] == ["None", 0.1]


def test_a_single_label_is_a_list_of_one() -> None:
    assert resolved().entries["measures"]["accuracy"].of == ("pgd",)
    assert resolved().train[0].dataset == ("fake",)


def test_a_sample_belongs_to_its_entry_and_not_to_its_method() -> None:
    entry = resolved(attacks={"pgd": {"sample": {"split": "val", "per_class": 2}}}).entries[
        "attacks"
    ]["pgd"]
    assert (entry.sample, entry.variants[0].method) == (Sample(split="val", per_class=2), PGD())


def test_the_sweeps_of_all_entries_together_are_bounded() -> None:
    eps = {"sweep": [number / 1000 for number in range(99)]}
    attacks = {
        "pgd": {"eps": eps, "steps": {"sweep": list(range(1, 101))}},
        "more": {"use": "pgd", "eps": eps},
    }
    with pytest.raises(
        SpecError, match=r"attacks\.more: expected at most 10,000 methods, found 10,002 up to here"
    ):
        resolved(attacks=attacks)  # 3 + 99 * 100 + 99


# ─ claims ─────────────────────────────────────────────────────────────────────────────

FORMS = {
    "value": (
        {"value": {"measure": "a"}, "expect": {"value": {"above": "1/2"}}},
        "value",
        (0.5, math.inf),
    ),
    "difference": (
        {
            "compare": {"measure": "a", "of": {"model": "m"}, "to": {"model": "n"}},
            "expect": {"difference": {"below": 0}},
        },
        "difference",
        (-math.inf, 0.0),
    ),
    "ratio": (
        {
            "compare": {"measure": "a", "of": {"model": "m"}, "to": {"model": "n"}},
            "expect": {"ratio": {"near": 2, "within": 1}},
        },
        "ratio",
        (1.0, 3.0),
    ),
    "rising": (
        {"trend": {"measure": "a", "along": "x"}, "expect": "rising"},
        "correlation",
        (0.0, math.inf),
    ),
    "falling": (
        {"trend": {"measure": "a", "along": "x"}, "expect": "falling"},
        "correlation",
        (-math.inf, 0.0),
    ),
}


@pytest.mark.parametrize(("written", "statistic", "range_"), FORMS.values(), ids=FORMS)
def test_a_claim_has_one_form_one_statistic_and_one_range(
    written: dict[str, Any], statistic: str, range_: tuple[float, float]
) -> None:
    claim = Claim.model_validate({"says": "so", **written})
    assert claim.form in written
    assert claim.pick.measure == "a"
    assert (claim.statistic, claim.bound.range) == (statistic, range_)


def test_the_limits_of_a_bound_are_combined() -> None:
    assert Bound(above=0.1, below=0.9).range == (0.1, 0.9)
    assert Bound(near=0.5, within=0.3, above=0.4).range == (0.4, 0.8)
    with pytest.raises(ValueError, match=r"no number is both above 0\.5 and below 0\.5"):
        Bound(above=0.5, below=0.5)


# ─ smoke ──────────────────────────────────────────────────────────────────────────────


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


def test_smoke_of_smoke_is_smoke() -> None:
    small = resolved().smoke()
    assert (small.smoke().entries, small.smoke().seeds) == (small.entries, small.seeds)


def test_smoke_keeps_bounds_that_are_infinite() -> None:
    small = resolved(datasets={"fake": {"bounds": [None, 3.0]}}).smoke()
    assert small.entries["datasets"]["fake"].variants[0].method.bounds == (-math.inf, 3.0)


# ─ files ──────────────────────────────────────────────────────────────────────────────

WRITTEN = """\
title: toy
datasets: {fake: {}}
models: {linear: {}}
defences: {standard: {epochs: 9}}
attacks: {pgd: {eps: 0.1, steps: 40}}
measures: {accuracy: {of: pgd}}
train: [{dataset: fake, model: linear, defence: standard}]
scales:
  laptop: {attacks.pgd.steps: 5, seeds: [7], defences.standard.epochs: 2}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "toy.yaml"
    path.write_text(WRITTEN)
    return path


def pgd_of(read: Spec) -> PGD:
    method = read.entries["attacks"]["pgd"].variants[0].method
    assert isinstance(method, PGD)
    return method


def test_a_scale_changes_a_spec_and_settings_change_both(path: Path) -> None:
    assert pgd_of(overlay.load(path)) == PGD(eps=0.1, steps=40)
    laptop = overlay.load(path, "laptop", ["attacks.pgd.steps=6"])
    assert (pgd_of(laptop), laptop.seeds) == (PGD(eps=0.1, steps=6), (7,))
    assert laptop.entries["defences"]["standard"].variants[0].method.epochs == 2


def test_a_setting_is_yaml(path: Path) -> None:
    swept = overlay.load(path, settings=["attacks.pgd.eps={sweep: [0.1, 8/255]}", "title='a=b'"])
    assert [item.method for item in swept.entries["attacks"]["pgd"].variants] == [
        PGD(eps=0.1),
        PGD(eps=8 / 255),
    ]
    assert swept.title == "a=b"


def test_a_spec_is_named_after_its_file(path: Path) -> None:
    assert overlay.load(path).name == "toy"


def test_a_spec_is_found_by_path_or_by_name(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert overlay.find("quickstart").name == "quickstart.yaml"
    assert overlay.find("nowhere/quickstart") == Path("nowhere/quickstart")
    assert overlay.find("nothing.yaml") == Path("nothing.yaml")
    monkeypatch.chdir(path.parent)
    Path("quickstart").write_text(WRITTEN)
    assert overlay.find("quickstart") == Path(
        "quickstart"
    )  # a file here comes before one that ships
    with pytest.raises(SpecError, match="no spec is named 'toi'"):
        overlay.find("toi")
