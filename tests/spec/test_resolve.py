"""From YAML to methods, and the samples of entries."""

from __future__ import annotations

import pytest
import yaml
from spec_toys import resolved, variants

from invspec.attacks.pgd import PGD
from invspec.attacks.random_rotation import RandomRotation
from invspec.errors import SpecError
from invspec.kinds import Sample
from invspec.spec import document, resolve


def test_an_entry_is_the_method_of_its_label_with_its_defaults() -> None:
    assert variants("attacks", "pgd") == [({}, PGD())]


def test_use_names_a_method_other_than_the_label() -> None:
    assert variants("attacks", "turn", attacks={"pgd": {}, "turn": {"use": "random_rotation"}}) == [
        ({}, RandomRotation())
    ]


def test_a_single_label_is_a_list_of_one() -> None:
    assert resolved().entries["measures"]["accuracy"].of == ("pgd",)
    assert resolved().train[0].dataset == ("fake",)


def test_a_sample_belongs_to_its_entry_and_not_to_its_method() -> None:
    entry = resolved(attacks={"pgd": {"sample": {"split": "val", "per_class": 2}}}).entries[
        "attacks"
    ]["pgd"]
    assert (entry.sample, entry.variants[0].method) == (Sample(split="val", per_class=2), PGD())


def test_threads_belong_to_a_defence_and_not_to_its_method() -> None:
    defences = resolved(
        defences={"standard": {"threads": 2}, "spread": {"use": "standard"}}
    ).entries["defences"]
    assert [entry.threads for entry in defences.values()] == [2, 1]
    assert defences["standard"].variants == defences["spread"].variants


SPEC = """\
title: toy
datasets: {fake: {}}
models:
  linear: MODEL
defences:
  standard:
    threads: THREADS
attacks: {pgd: {}}
measures: {accuracy: {of: pgd}}
train: [{dataset: fake, model: linear, defence: standard}]
"""


@pytest.mark.parametrize(
    ("threads", "model", "message"),
    [
        ("0", "{}", "toy.yaml:7: defences.standard.threads: expected at least 1, found 0"),
        (
            "true",
            "{}",
            "toy.yaml:7: defences.standard.threads: expected a whole number, found true",
        ),
        (
            "2",
            "{threads: 2}",
            "toy.yaml:4: models.linear.threads: `threads` is a key of defences, ",
        ),
    ],
)
def test_a_wrong_number_of_threads_is_an_error_at_its_line(
    threads: str, model: str, message: str
) -> None:
    text = SPEC.replace("THREADS", threads).replace("MODEL", model)
    with pytest.raises(SpecError) as problem:
        resolve.resolve(document.parse(text, "toy.yaml"))
    assert message in str(problem.value)


def problems_of(text: str) -> list[str]:
    """The places of all problems of a spec."""
    with pytest.raises(SpecError) as problem:
        resolve.resolve(document.parse(text, "toy.yaml"))
    return [part.where for part in problem.value.problems]


def test_mistakes_of_a_spec_and_of_its_methods_are_found_at_once() -> None:
    text = SPEC.replace("THREADS", "0").replace("MODEL", "{drpout: 1}").replace("toy\n", "3\n")
    text = text.replace("{pgd: {}}", "{pgd: {epss: 1, eps: {sweep: [0, -1]}}, fgms: {}}")
    assert problems_of(f"{text}claim: []\n") == [
        "toy.yaml:1: title",
        "toy.yaml:7: defences.standard.threads",
        "toy.yaml:11: claim",
        "toy.yaml:4: models.linear.drpout",
        "toy.yaml:8: attacks.pgd.epss",
        "toy.yaml:8: attacks.pgd.eps.sweep.1",
        "toy.yaml:8: attacks.fgms",
    ]


def test_sweeps_of_a_spec_with_other_mistakes_are_not_all_written_out() -> None:
    values = {"sweep": list(range(1, 200))}
    fields = dict.fromkeys(("steps", "restarts", "sparsity", "eot"), values)
    spec = yaml.safe_load(SPEC.replace("THREADS", "1").replace("MODEL", "{}"))
    wrong = {**spec, "title": 3, "attacks": {"pgd": fields, "pdg": {}}}
    places = [where.split(": ")[1] for where in problems_of(yaml.safe_dump(wrong))]
    assert places == ["title", "attacks.pdg"]
