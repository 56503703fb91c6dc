"""A report in JSON holds all that its repetition needs; differences are named and explained."""

import copy
import json

import pytest
from report_toys import half
from toy_specs import SWEEPS

from invspec.errors import SpecError
from invspec.plan import planner
from invspec.registry.cards import shipped
from invspec.report import contents, provenance, reproduction
from invspec.report.export import json_text
from invspec.report.provenance import Call
from invspec.spec import document, overlay, resolve

SHIPPED = sorted(shipped("specs").glob("*.yaml"))


@pytest.fixture
def body(planned, toy_store):
    """The report of a toy, as JSON holds it."""
    plan = planned(SWEEPS)
    store = toy_store(plan, half)
    return json.loads(json_text(contents.report(plan, store, Call(data="in")), store))


@pytest.fixture
def recorded(tmp_path):
    """Writes a report to a file, and reads it as the command does."""

    def written(content):
        path = tmp_path / "report.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return reproduction.read(path)

    return written


def test_a_report_gives_the_plan_that_it_was_made_from(body, recorded, planned):
    report = recorded(body)
    assert report.plan(lambda question: "float32").tasks == planned(SWEEPS).tasks
    assert (report.registry, str(report.data)) == ([], "in")


@pytest.mark.parametrize("path", SHIPPED, ids=[path.stem for path in SHIPPED])
def test_the_text_of_a_spec_gives_the_same_methods(path):
    """Numbers, fractions, sweeps and texts of every spec come back from YAML as they were."""
    spec = overlay.load(path)
    again = resolve.resolve(document.parse(provenance.spec_text(spec), "again"))
    assert (again.entries, again.train, again.seeds) == (spec.entries, spec.train, spec.seeds)


def test_scale_settings_and_smoke_come_back(tmp_path, toy_store, recorded):
    path = tmp_path / "toy.yaml"
    path.write_text(SWEEPS + "scales:\n  small: {seeds: [3]}\n")
    spec = overlay.load(path, "small", ["attacks.pgd.steps=7"]).smoke()
    plan = planner.plan(spec)
    store = toy_store(plan, half)
    report = recorded(json_text(contents.report(plan, store), store))
    again = report.plan(lambda question: "float32")
    assert again.tasks == plan.tasks
    assert (again.spec.name, again.spec.options) == (spec.name, spec.options)


def test_a_report_holds_what_its_spec_extends(tmp_path, toy_store, recorded):
    (tmp_path / "below.yaml").write_text("x-odd: [1]\n" + SWEEPS)
    path = tmp_path / "toy.yaml"
    path.write_text("extends: below.yaml\nattacks: {pgd: {steps: 7}}\n")
    spec = overlay.load(path)
    plan = planner.plan(spec)
    store = toy_store(plan, half)
    report = recorded(json_text(contents.report(plan, store), store))
    (tmp_path / "below.yaml").unlink()
    path.unlink()
    again = report.plan(lambda question: "float32")
    assert again.tasks == plan.tasks
    assert again.spec.entries["attacks"]["pgd"].variants[0].method.steps == 7
    assert not {"extends", "x-odd"} & set(again.spec.source.values)


def test_choices_of_a_measurement_are_kept(toy_store, recorded):
    spec = resolve.resolve(document.parse("precision: auto" + SWEEPS, "toy.yaml"))

    def answer(question):
        return "bfloat16" if type(question.model).__name__ == "LeNet" else "float32"

    plan = planner.plan(spec, answer)
    store = toy_store(plan, half)
    report = recorded(json_text(contents.report(plan, store), store))
    assert report.plan(lambda question: pytest.fail("asked again")).tasks == plan.tasks


# ─ what cannot be read ─


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not JSON"),
        ("\xff", "not JSON"),
        ("[]", "not a report that can be made again"),
        ("{}", "not a report that can be made again"),
        ('{"recipe": {}}', "not a report that can be made again"),
    ],
)
def test_what_is_no_report_is_refused(recorded, content, message):
    with pytest.raises(SpecError, match=message) as problem:
        recorded(content)
    assert problem.value.hint == "write it with `invspec report SPEC --format json`"


@pytest.mark.parametrize("part", ["spec", "options", "registry", "precisions", "data", "name"])
def test_a_report_without_a_part_of_its_recipe_is_refused(body, recorded, part):
    del body["recipe"][part]
    with pytest.raises(SpecError, match=f"not a report that can be made again .*{part}"):
        recorded(body)


@pytest.mark.parametrize(("part", "value"), [("spec", 3), ("options", 3), ("registry", ["mine"])])
def test_an_odd_part_is_refused(body, recorded, part, value):
    body["recipe"][part] = value
    with pytest.raises(SpecError, match="not a report that can be made again"):
        recorded(body)


@pytest.mark.parametrize(
    "change",
    [
        {"claims": [{"says": "it holds", "outcome": "holds", "premises": 3}]},
        {"claims": [{"says": "it holds", "outcome": "holds", "alternatives": ["x"]}]},
        {"cells": [3]},
        {"provenance": {"versions": 3}},
    ],
    ids=str,
)
def test_odd_numbers_are_refused_before_anything_runs(body, recorded, change):
    with pytest.raises(SpecError, match="not a report that can be made again"):
        recorded({**body, **change})


def test_a_report_without_numbers_is_refused(body, recorded):
    for cell in body["cells"]:
        cell.update(dict.fromkeys(("value", "low", "high", "n")))
    with pytest.raises(SpecError, match="no numbers to compare"):
        recorded(body)


# ─ what differs ─


def compared(body, change):
    theirs = copy.deepcopy(body)
    change(theirs)
    return reproduction.compare(theirs, body)


def test_a_report_equals_itself(body):
    found = compared(body, lambda theirs: None)
    assert (found.differences, found.reasons, found.lacking_cells) == ((), (), 0)
    assert found.cells == len(body["cells"]) > 0


@pytest.mark.parametrize(
    ("field", "value"),
    [("value", 0.123), ("low", 0.1), ("high", 0.9), ("n", 3), ("key", "f" * 40)],
)
def test_every_number_and_key_is_compared(body, field, value):
    found = compared(body, lambda theirs: theirs["cells"][3].update({field: value}))
    (sentence,) = found.differences
    assert f": {field} " in sentence
    assert " there, " in sentence
    assert body["cells"][3]["measure"] in sentence


def test_the_last_bit_of_a_number_counts(body):
    def change(theirs):
        theirs["cells"][0]["value"] += 1e-15

    assert len(compared(body, change).differences) == 1


def test_a_cell_that_is_not_here_and_one_that_is_not_there_are_told_apart(body):
    found = compared(body, lambda theirs: theirs["cells"][0].update(measure="other"))
    assert found.differences[0].endswith(": not in the report here")
    assert found.lacking_cells == 1


def test_a_number_that_the_report_lacks_is_not_compared(body):
    missing = dict.fromkeys(("value", "low", "high", "n"))
    found = compared(body, lambda theirs: theirs["cells"][0].update(missing))
    assert (found.differences, found.lacking_cells) == ((), 1)


def test_another_verdict_is_named(body):
    body["claims"] = [{"says": "it holds", "outcome": "holds"}]
    found = compared(body, lambda theirs: theirs["claims"][0].update(outcome="fails"))
    assert found.differences == ("claim 'it holds': outcome fails there, holds here",)


CLAIM = {"says": "it holds", "outcome": "holds", "value": 0.2, "low": 0.1, "high": 0.3}


@pytest.mark.parametrize("field", ["value", "low", "high"])
def test_the_numbers_of_a_claim_are_compared(body, field):
    body["claims"] = [dict(CLAIM)]
    found = compared(body, lambda theirs: theirs["claims"][0].update({field: 0.25}))
    assert found.differences == (f"claim 'it holds': {field} 0.25 there, {CLAIM[field]} here",)


def test_premises_and_alternatives_are_compared(body):
    inner = {**CLAIM, "says": ""}
    parts = {"premises": [dict(inner)], "alternatives": [dict(inner), dict(inner)]}
    body["claims"] = [{**CLAIM, **parts}]

    def change(theirs):
        theirs["claims"][0]["premises"][0]["value"] = 0.5
        theirs["claims"][0]["alternatives"][1]["outcome"] = "fails"

    assert compared(body, change).differences == (
        "claim 'it holds': value of premise 1 0.5 there, 0.2 here",
        "claim 'it holds': outcome of alternative 2 fails there, holds here",
    )


def test_claims_with_one_sentence_are_told_apart(body):
    body["claims"] = [dict(CLAIM), {**CLAIM, "outcome": "fails"}]
    assert compared(body, lambda theirs: None).differences == ()


def test_a_claim_that_waited_for_scores_is_not_compared(body):
    body["claims"] = [dict(CLAIM)]
    missing = {"outcome": "missing", "value": None, "low": None, "high": None}
    found = compared(body, lambda theirs: theirs["claims"][0].update(missing))
    assert (found.differences, found.claims, found.lacking_claims) == ((), 0, 1)


def test_numbers_of_the_paper_and_doubts_name_no_cell(body):
    for cell in body["cells"]:
        cell |= {"published": 0.5, "difference": 0.1}

    def change(theirs):
        theirs["cells"][0].update(doubts="masked", difference=0.2)

    differences = compared(body, change).differences
    assert [sentence.partition(": ")[2] for sentence in differences] == [
        "difference 0.2 there, 0.1 here",
        "doubts masked there, nothing here",
    ]
    assert "published" not in differences[0].partition(": ")[0]


def test_versions_machines_and_own_code_explain(body):
    body["provenance"]["versions"] = {"torch": ["2.9.1"], "commit": ["abc"]}
    body["provenance"]["surroundings"] = {"CPU": ["mine"]}
    body["recipe"]["registry"] = [{"folder": "/here/mine", "sha256": "1"}]

    def change(theirs):
        theirs["provenance"]["versions"]["torch"] = ["2.0.0", "2.9.1"]
        theirs["provenance"]["surroundings"] = {"CPU": ["other"], "OS": ["Linux"]}
        theirs["recipe"]["registry"] = [{"folder": "mine", "sha256": "2"}]

    assert compared(body, change).reasons == (
        "torch: 2.0.0, 2.9.1 there, 2.9.1 here",
        "CPU: other there, mine here",
        "OS: Linux there, unknown here",
        "own code in mine: another digest than when the report was made",
    )
