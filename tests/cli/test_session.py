"""Runs and reports as the command line shows them."""

import hashlib
import json

import pytest
import torch
from rich.console import Console
from workbench import planned, registered, tiny

from invspec.cli import session
from invspec.errors import InvspecError, SpecError
from invspec.execution.choices import Choice
from invspec.execution.execute import execute
from invspec.execution.pools.local import LocalExecutor
from invspec.execution.store import Store
from invspec.plan import planner
from invspec.plan.cells import Plan
from invspec.spec import document, resolve
from invspec.tasks import key

Done = tuple[Plan, Store]


@pytest.fixture
def toy():
    with registered():
        yield planned(tiny())


@pytest.fixture
def done(toy, tmp_path):
    """A plan and a store with all of its tasks."""
    store = Store(tmp_path / "store")
    list(execute([cell.goal for cell in toy.cells], store, LocalExecutor()))
    return toy, store


# ─ running ─


def test_a_run_returns_the_number_of_failed_tasks(toy, tmp_path, capsys):
    assert session.run(toy, Store(tmp_path), LocalExecutor()) == 0
    assert "tasks: 3 computed · " in capsys.readouterr().err
    broken = planned(tiny(attacks={"breaks": {}}, measures={"accuracy": {"of": "breaks"}}))
    assert session.run(broken, Store(tmp_path), LocalExecutor()) == 1
    # the training is in the store
    assert "tasks: 1 found in the store, 1 failed, 1 skipped" in capsys.readouterr().err


def test_a_run_on_a_terminal_shows_bars_and_ends_with_the_summary(
    toy, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(
        session, "Console", lambda **options: Console(**options, force_terminal=True, width=120)
    )
    assert session.run(toy, Store(tmp_path), LocalExecutor()) == 0
    assert "tasks: 3 computed" in capsys.readouterr().err


def test_a_model_that_does_not_fit_the_images_is_refused_before_anything_runs(tmp_path):
    content = tiny(
        models={"stdcnn": {}}, train=[{"dataset": "fake", "model": "stdcnn", "defence": "standard"}]
    )
    with registered():
        toy = planned(content)
    with pytest.raises(SpecError, match="StdCNN needs images of at least 16x16"):
        session.run(toy, Store(tmp_path), LocalExecutor())
    assert list(tmp_path.iterdir()) == []


# ─ precisions that a spec leaves open ─


LOW = Choice("bfloat16", {"float32": 66.0, "bfloat16": 41.0}, (), 8, "cpu", "2.14.1", "today")
OPEN = tiny(
    precision="auto",
    defences={"standard": {"epochs": 1, "batch_size": 8, "lr": 0.1, "precision": "auto"}},
)


class Measuring:
    """Chooses bfloat16, and counts the questions."""

    def __init__(self):
        self.asked = []

    def __call__(self, question, device):
        self.asked.append((str(question), device))
        return LOW


def test_a_run_measures_what_the_store_does_not_know_and_then_nothing(tmp_path, capsys):
    measuring, store = Measuring(), Store(tmp_path)
    with registered():
        first = session.settled(planned(OPEN), store, lambda: "cpu", measuring)
        second = session.settled(planned(OPEN), store, lambda: "cpu", measuring)
    assert measuring.asked == [
        ("train Linear on 1x4x4", "cpu"),
        ("attack Linear on 1x4x4", "cpu"),
    ]
    assert set(first.answers.values()) == {"bfloat16"}
    assert [*map(key, first.tasks)] == [*map(key, second.tasks)]
    assert "bfloat16 to train Linear on 1x4x4 (measured 41 against" in capsys.readouterr().err


def test_a_plan_without_open_precisions_is_returned_as_it_is(toy, tmp_path):
    assert session.settled(toy, Store(tmp_path), lambda: "cpu", Measuring()) is toy


def test_a_spec_that_cannot_run_is_refused_before_anything_is_measured(tmp_path):
    measuring = Measuring()
    line = {"dataset": "fake", "model": "stdcnn", "defence": "standard"}
    with registered(), pytest.raises(SpecError, match="StdCNN needs images of at least 16x16"):
        session.settled(
            planned({**OPEN, "models": {"stdcnn": {}}, "train": [line]}),
            Store(tmp_path),
            lambda: "cpu",
            measuring,
        )
    assert measuring.asked == []


# ─ showing ─


ENDINGS = {"csv": "csv", "json": "json", "latex": "tex", "markdown": "md"}


@pytest.mark.parametrize("format", ENDINGS)
def test_a_text_report_goes_to_stdout_or_into_a_folder(done: Done, tmp_path, capsys, format):
    session.show(*done, format, None)
    printed = capsys.readouterr().out
    session.show(*done, format, tmp_path / "new" / "out")
    path = tmp_path / "new" / "out" / f"tiny.{ENDINGS[format]}"
    first, *others = capsys.readouterr().out.splitlines()
    assert first == str(path)
    assert path.read_text() == printed
    # each table of LaTeX has a file of its own, too
    tables = [str(path.with_name("tiny-accuracy.tex"))] if format == "latex" else []
    assert others == tables
    if format == "json":
        assert json.loads(printed)


@pytest.mark.parametrize("format", [*ENDINGS, "html"])
def test_a_report_with_missing_numbers_says_so(done: Done, tmp_path, capsys, format):
    toy, store = done
    session.show(toy, Store(tmp_path / "empty"), format, tmp_path / "out")
    said = capsys.readouterr().err
    missing = "1 of 1 cells are missing: `invspec run tiny.yaml` computes them\n"
    # the page says it itself
    assert said == ("" if format == "html" else missing)
    session.show(toy, store, format, tmp_path / "out")
    assert "missing" not in capsys.readouterr().err


def test_a_page_is_written_to_the_store_or_to_the_output_folder(done: Done, tmp_path, capsys):
    toy, store = done
    session.show(toy, store, "rich", None)
    assert f"page: {store.root / 'reports' / 'tiny'}" in capsys.readouterr().out.replace("\n", "")
    session.show(toy, store, "html", tmp_path / "page")
    assert capsys.readouterr().out.startswith(str(tmp_path / "page"))


@pytest.mark.parametrize("format", ["csv", "html"])
def test_a_report_that_cannot_be_written_is_one_message(done: Done, tmp_path, format):
    (tmp_path / "file").touch()
    with pytest.raises(
        InvspecError, match=r"cannot write .*: Not a directory\nhint: choose another --output"
    ):
        session.show(*done, format, tmp_path / "file" / "out")


def test_an_unknown_format_is_refused(done: Done):
    with pytest.raises(SpecError, match="no format 'pdf'"):
        session.show(*done, "pdf", None)


def test_a_finished_training_needs_its_file_of_weights_no_more(tmp_path, monkeypatch):
    monkeypatch.setenv("INVSPEC_DATA", str(tmp_path))
    weights = {"1.weight": torch.zeros(3, 16), "1.bias": torch.zeros(3)}
    path = tmp_path / "w.pth"
    torch.save(weights, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    text = f"""
title: toy
datasets: {{fake: {{shape: [1, 4, 4], classes: 3, train: 8, test: 8}}}}
models: {{linear: {{}}}}
defences: {{loaded: {{use: pretrained, file: w.pth, sha256: {digest.upper()}}}}}
attacks: {{none: {{use: identity}}}}
measures: {{accuracy: {{of: none}}}}
train: [{{dataset: fake, model: linear, defence: loaded}}]
"""
    plan = planner.plan(resolve.resolve(document.parse(text, "toy.yaml")))
    store = Store(tmp_path / "store")
    assert session.run(plan, store, LocalExecutor()) == 0
    path.unlink()
    assert session.run(plan, store, LocalExecutor()) == 0
    with pytest.raises(SpecError, match="cannot be read"):
        session.run(plan, Store(tmp_path / "another"), LocalExecutor())
