import json
import re

import pytest
from report_toys import half
from toy_specs import SWEEPS

from invspec.plan import planner
from invspec.report import contents, provenance, text
from invspec.report.export import json_text
from invspec.spec import document, overlay, resolve
from invspec.tasks import Perturb

CHECKED = "results do not depend on batch size (checked)"
SPLIT, LATE = "logits change when a batch is split", "torch was imported before invspec"


@pytest.mark.parametrize(
    ("promises", "sentence"),
    [
        (["promised"], CHECKED),
        (["promised", f"not promised: {SPLIT}"], f"batch size may change last bits: {SPLIT}"),
        (
            [f"not promised: {LATE}", f"not promised: {SPLIT}"],
            f"batch size may change last bits: {SPLIT}; {LATE}",
        ),
        (["promised", None], ""),
        ([None], ""),
    ],
)
def test_the_foot_states_once_whether_batch_size_matters(
    planned, toy_store, monkeypatch, promises, sentence
):
    plan = planned(SWEEPS)
    store, made = toy_store(plan, half), toy_store.made
    attacks = [task for task in plan.tasks if isinstance(task, Perturb)]

    def with_promises(self, task):
        """The promises by turns; None for a task from before there was a check."""
        facts = made(self, task)
        if "bits" in facts:
            facts["bits"] = promises[attacks.index(task) % len(promises)]
        return {name: value for name, value in facts.items() if value is not None}

    monkeypatch.setattr(toy_store, "made", with_promises)
    report = contents.report(plan, store)
    assert report.provenance.bits == sentence
    lines = text.provenance_lines(report.provenance)
    assert lines.count(sentence) == (sentence != "")
    assert "" not in lines
    assert json.loads(json_text(report, store))["provenance"]["bits"] == sentence


def test_the_foot_names_the_precisions_that_the_spec_left_open(toy_store):
    def answer(question):
        return "bfloat16" if type(question.model).__name__ == "LeNet" else "float32"

    spec = resolve.resolve(document.parse("precision: auto" + SWEEPS, "toy.yaml"))
    plan = planner.plan(spec, answer)
    report = contents.report(plan, toy_store(plan, half))
    first, second, *_ = text.provenance_lines(report.provenance)
    assert first.endswith("attacks in bfloat16 and float32")
    assert second == (
        "precision auto: float32 to attack Linear on 1x28x28, bfloat16 to attack LeNet on 1x28x28"
    )


def test_the_foot_of_a_spec_that_leaves_nothing_open_has_no_such_line(planned, toy_store):
    plan = planned(SWEEPS)
    report = contents.report(plan, toy_store(plan, half))
    assert not any("auto" in line for line in text.provenance_lines(report.provenance))


def test_the_command_repeats_scale_and_settings(tmp_path):
    path = tmp_path / "toy.yaml"
    path.write_text(SWEEPS + "scales:\n  small: {seeds: [0]}\n")
    assert provenance.command(overlay.load(path)) == f"invspec run {path}"
    small = overlay.load(path, scale="small", settings=["attacks.pgd.steps=10"]).smoke()
    options = "--scale small --set attacks.pgd.steps=10 --smoke"
    assert provenance.command(small) == f"invspec run {path} {options}"
    assert re.fullmatch("toy-small-[0-9a-f]{8}-smoke", small.name)
