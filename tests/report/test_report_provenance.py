import dataclasses
import io
import json
import re
import shlex
from pathlib import Path

import pytest
from report_toys import half
from rich.console import Console
from toy_specs import SWEEPS

from invspec.plan import planner
from invspec.report import contents, latex, provenance, text
from invspec.report.export import json_text
from invspec.report.pages import render
from invspec.report.provenance import Call
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
    assert provenance.command(overlay.load(path), Call()) == f"invspec run {path}"
    small = overlay.load(path, scale="small", settings=["attacks.pgd.steps=10"]).smoke()
    options = "--scale small --set attacks.pgd.steps=10 --smoke"
    assert provenance.command(small, Call()) == f"invspec run {path} {options}"
    assert re.fullmatch("toy-small-[0-9a-f]{8}-smoke", small.name)


def test_the_command_gives_the_folders_that_it_was_given_quoted_for_a_shell(planned):
    spec = planned(SWEEPS).spec
    call = Call(("my cards", "more"), store="it's mine", data="$HOME/data")
    words = ["--registry", "my cards", "--registry", "more", "--store", "it's mine"]
    command = provenance.command(spec, call)
    assert shlex.split(command) == ["invspec", "run", "toy.yaml", *words, "--data", "$HOME/data"]


def test_a_spec_whose_name_looks_like_an_option_is_a_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-x.yaml").write_text(SWEEPS)
    assert provenance.command(overlay.load(Path("./-x.yaml")), Call()) == "invspec run ./-x.yaml"


MADE = {
    "commit": "abc",
    "edited": True,
    "torch": "2.9.1",
    "python": "3.12.3",
    "numpy": "2.3.0",
    "torchvision": "0.24.1",
    "cpu": "Some CPU @ 2 GHz",
    "os": "Linux-6.1",
    "peak_memory": 1_230_000_000,
}


@pytest.fixture
def report(planned, toy_store, monkeypatch):
    """A report whose first task was made on another machine than the rest."""
    plan = planned(SWEEPS)
    store, made = toy_store(plan, half), toy_store.made
    first = plan.tasks[0]

    def elsewhere(self, task):
        other = {"edited": False, "cpu": "Other CPU", "peak_memory": 5} if task == first else {}
        return {**made(self, task), **MADE, **other}

    monkeypatch.setattr(toy_store, "made", elsewhere)
    return contents.report(plan, store, Call(store="s")), store


def test_every_format_names_versions_machines_memory_and_the_command(report):
    made, store = report
    console = Console(file=io.StringIO(), width=80)
    text.show(made, console)
    formats = {
        "rich": " ".join(console.file.getvalue().split()),
        "json": json_text(made, store),
        "latex": latex.text(made),
        "html": render.text(made),
    }
    facts = ["3.12.3", "2.3.0", "0.24.1", "Linux-6.1", "abc (edited)", "Other CPU", "Some CPU"]
    for name, shown in formats.items():
        assert [fact for fact in facts if fact not in shown] == [], name
        assert "invspec run toy.yaml --store s" in shown, name
    assert json.loads(formats["json"])["provenance"]["peak_memory"] == 1_230_000_000
    for name in ("rich", "latex"):
        assert "at most 1.2 GB of memory" in formats[name]
    assert "<dt>memory</dt><dd>at most 1.2 GB</dd>" in formats["html"]


def test_latex_ends_in_comments_that_print_nothing(report):
    made, _ = report
    foot = latex.text(made).rpartition("\n\n")[2]
    assert all(line.startswith("% ") for line in foot.splitlines())
    assert foot.endswith("% invspec run toy.yaml --store s\n")


def test_a_setting_of_several_lines_stays_a_comment(report):
    made, _ = report
    facts = dataclasses.replace(made.provenance, command="invspec run --set 'title=a\nb'")
    foot = latex.text(dataclasses.replace(made, provenance=facts)).rpartition("\n\n")[2]
    assert foot.endswith("% invspec run --set 'title=a\n% b'\n")


def test_a_long_command_is_one_line_of_the_terminal(report):
    made, _ = report
    command = f"invspec run toy.yaml --store {'deep/' * 60}"
    facts = dataclasses.replace(made.provenance, command=command)
    console = Console(file=io.StringIO(), width=80)
    text.show(dataclasses.replace(made, provenance=facts), console)
    assert console.file.getvalue().splitlines()[-1] == command
