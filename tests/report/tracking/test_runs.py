"""A report as runs: names, settings, numbers, curves, and the digest of all of them."""

import json

import pytest
from report_toys import CLAIMS, outcomes

from invspec.report import contents
from invspec.report.tracking import runs


def test_each_net_with_numbers_has_a_run_with_its_settings_numbers_and_curves(study):
    names = [run.name for run in study.nets]
    assert len(names) == len(set(names)) == 10
    run = study.nets[names.index("linear, rotations max_degrees 180, seed 1")]
    assert run.params["model"] == "linear"
    assert (run.params["rotations.max_degrees"], run.params["seed"]) == (180, 1)
    assert run.params["defence.max_degrees"] == 180
    assert run.metrics["accuracy"] == 0.8
    assert run.metrics["accuracy/low"] < 0.8 < run.metrics["accuracy/high"]
    assert run.metrics["robustness/pgd.eps 0.1"] == 0.5
    assert run.curves == {"loss": [3.0, 1.0, 0.5], "accuracy": [0.3, 0.6, 0.8]}


def test_the_run_of_the_report_has_means_over_seeds_claims_and_the_settings_of_the_spec(study):
    summary = study.summary
    assert summary.metrics["accuracy/model linear/rotations.max_degrees 180"] == pytest.approx(0.8)
    robust = "robustness/model linear/rotations.max_degrees 90/pgd.eps 0.2"
    assert summary.metrics[robust] == pytest.approx(0.2)
    assert summary.metrics[f"{robust}/low"] < 0.2 < summary.metrics[f"{robust}/high"]
    assert summary.metrics["claim 1"] == pytest.approx(0.8)
    assert "claim 3" not in summary.metrics  # it waits for scores
    assert json.loads(summary.params["attacks.pgd.eps.sweep"]) == [0, 0.1, 0.2]
    assert not [name for name in summary.params if name.startswith(("claims", "title"))]


def test_facts_name_the_verdicts_and_what_repeats_the_run(study):
    assert study.facts["claim 2"] == "fails: this fails"
    assert study.facts["command"] == "invspec run toy.yaml"


def test_the_digest_changes_with_the_numbers_and_with_nothing_else(planned, toy_store, study):
    plan = planned(CLAIMS.replace("seeds: [0]", "seeds: [0, 1]"))
    same, other = (
        toy_store(plan, by) for by in (outcomes, lambda coords: outcomes({**coords, "pgd.eps": 0}))
    )
    assert runs.study(contents.report(plan, same), same).digest == study.digest
    assert runs.study(contents.report(plan, other), other).digest != study.digest


def test_a_nested_method_is_its_class_and_its_fields():
    nested = {
        "attack": {"class": "attack:PGD", "fields": {"eps": 0.3, "steps": [1, 2]}},
        "lr": None,
    }
    assert dict(runs._flat(nested, "defence")) == {
        "defence.attack": "PGD",
        "defence.attack.eps": 0.3,
        "defence.attack.steps": "[1, 2]",
        "defence.lr": "null",
    }
