"""A run from the user's side: what is said while it works, and what is remembered after it."""

import io
import json

import pytest
from rich.console import Console
from workbench import call, perturb, planned, registered, score, tiny, toys, train, written

from invspec.cli import progress, session
from invspec.cli.progress import Lines, Live
from invspec.errors import InvspecError, SpecError
from invspec.execution import events
from invspec.execution.devices import Settings
from invspec.execution.store import Store, Unwritable
from invspec.execution.walk import execute
from invspec.plan.cells import Plan

Done = tuple[Plan, Store]
SHIFT = perturb(toys.Shift())
SCORE = score(SHIFT)


@pytest.fixture
def toy():
    with registered():
        yield planned(tiny())


@pytest.fixture
def done(toy, tmp_path):
    """A plan and a store that has all of it."""
    kept = Store(tmp_path / "store")
    list(execute([cell.goal for cell in toy.cells], kept, Settings()))
    return toy, kept


# ─ what is said ─


def said(listener, told):
    with listener:
        for event in told:
            listener.hear(event)
    return listener.console.file.getvalue()


def lines():
    return Lines(Console(file=io.StringIO(), width=200, highlight=False))


def live():
    return Live(
        Console(
            file=io.StringIO(), width=200, highlight=False, force_terminal=True, color_system=None
        )
    )


TOLD = {
    "train Linear · Standard · seed 0: 12 s": events.Done(train(), 12.3),
    "failed: Shift 0-20 on Linear · Standard · seed 0: no [bold]luck": events.Failed(
        SHIFT, "no [bold]luck"
    ),
    "again: Shift 0-20 on Linear · Standard · seed 0: it died": events.Retried(SHIFT, "it died"),
    "damaged: Accuracy on Linear · Standard · seed 0: rows.json": events.Damaged(
        SCORE, "rows.json"
    ),
}


@pytest.mark.parametrize(("line", "event"), TOLD.items(), ids=lambda v: type(v).__name__)
def test_what_matters_is_said_in_a_line(line, event):
    assert said(lines(), [event]) == f"{line}\n"


@pytest.mark.parametrize(
    "event",
    [
        events.Surveyed(3),
        events.Cached(SHIFT),
        events.Started(SHIFT, "cpu"),
        events.Progress(SHIFT, 1, 2),
        events.Done(SHIFT, 0.1),
        events.Skipped(SCORE, SHIFT),
    ],
    ids=lambda v: type(v).__name__,
)
def test_what_does_not_matter_is_not(event):
    assert said(lines(), [event]) == ""


def test_a_reason_is_given_once():
    failed = [
        events.Failed(task, why)
        for task, why in ((train(), "no data"), (SHIFT, "no luck"), (SCORE, "no data"))
    ]
    first, second, third = said(lines(), failed).splitlines()
    assert first.endswith("seed 0: no data")
    assert second.endswith("seed 0: no luck")
    assert third.endswith("seed 0: for the same reason")


def test_half_a_minute_without_a_word_is_too_long(monkeypatch):
    now = iter([0.0, 20.0, 31.0, 31.5, 31.5, 40.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now))
    assert said(lines(), [events.Done(SHIFT, 1.0)] * 3) == "2 tasks done in 32 s\n"


def test_the_summary_counts_what_happened():
    listener = lines()
    assert listener.summary().startswith("tasks: none · ")
    told = [
        events.Cached(train()),
        events.Done(SHIFT, 1),
        events.Done(SCORE, 1),
        events.Failed(SHIFT, "no"),
    ]
    said(listener, [*told, events.Skipped(SCORE, SHIFT)])
    assert listener.summary().startswith(
        "tasks: 2 computed, 1 found in the store, 1 failed, 1 skipped · "
    )


def test_bars_come_and_go_with_their_tasks():
    listener = live()
    with listener:
        listener.hear(events.Surveyed(3))
        listener.hear(events.Started(train(), "cpu"))
        listener.hear(events.Progress(train(), 2, 4, {"loss": 0.25}))
        (whole, bar) = listener.progress.tasks
        assert (whole.total, bar.completed, bar.total, bar.fields["numbers"]) == (
            3,
            2,
            4,
            "loss 0.250",
        )
        listener.hear(events.Retried(train(), "it died"))
        assert (len(listener.progress.tasks), whole.completed) == (1, 0)
        for event in (
            events.Started(train(), "cpu"),
            events.Done(train(), 1.0),
            events.Started(SHIFT, "cpu"),
        ):
            listener.hear(event)
        listener.hear(events.Failed(SHIFT, "no luck"))
        listener.hear(events.Skipped(SCORE, SHIFT))
        assert (listener.progress.tasks, whole.completed) == ([whole], 3)
    assert (
        "failed: Shift 0-20 on Linear · Standard · seed 0: no luck"
        in listener.console.file.getvalue()
    )


# ─ running ─


def test_a_run_says_how_many_failed(toy, tmp_path, capsys):
    assert session.run(toy, Store(tmp_path), "cpu", None, None) == 0
    assert "tasks: 3 computed · " in capsys.readouterr().err
    broken = planned(tiny(attacks={"breaks": {}}, measures={"accuracy": {"of": "breaks"}}))
    assert session.run(broken, Store(tmp_path), "cpu", None, None) == 1
    assert (
        "tasks: 1 computed, 1 failed, 1 skipped" not in capsys.readouterr().err
    )  # the training was found


def test_a_run_on_a_terminal_shows_bars_and_ends_with_the_summary(
    toy, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(
        session, "Console", lambda **options: Console(**options, force_terminal=True, width=120)
    )
    assert session.run(toy, Store(tmp_path), "cpu", None, None) == 0
    assert "tasks: 3 computed" in capsys.readouterr().err


def test_what_does_not_fit_is_found_before_anything_runs(tmp_path):
    content = tiny(
        models={"stdcnn": {}}, train=[{"dataset": "fake", "model": "stdcnn", "defence": "standard"}]
    )
    with registered():
        toy = planned(content)
    with pytest.raises(SpecError, match="StdCNN needs images of at least 16x16"):
        session.run(toy, Store(tmp_path), "cpu", None, None)
    assert list(tmp_path.iterdir()) == []


# ─ remembering ─


def test_a_call_is_recalled_as_it_was(tmp_path):
    kept, spec = Store(tmp_path), written(tmp_path, tiny())
    session.remember(kept, str(spec), "laptop", ["a.b=1"], True, [tmp_path])
    assert session.recall(kept) == (
        str(spec.resolve()),
        "laptop",
        ["a.b=1"],
        True,
        [tmp_path.resolve()],
    )
    session.remember(kept, "quickstart", None, None, False, None)
    assert session.recall(kept) == ("quickstart", None, None, False, [])


@pytest.mark.parametrize("content", [None, "{", "{}", "[]", '"text"', '{"spec": "a"}'])
def test_where_nothing_is_remembered_a_spec_must_be_named(tmp_path, content):
    if content is not None:
        (tmp_path / "last.json").write_text(content)
    with pytest.raises(
        SpecError, match=r"no run is remembered in .*\nhint: name a spec: invspec report SPEC"
    ):
        session.recall(Store(tmp_path))


def test_a_call_that_cannot_be_remembered_is_one_message(tmp_path):
    with pytest.raises(Unwritable, match="cannot write to the store"):
        session.remember(Store(tmp_path / "nowhere"), "quickstart", None, None, False, None)


def test_a_report_without_a_spec_is_that_of_the_last_run(tmp_path, capsys):
    with registered() as toy_cards:
        spec = written(tmp_path, tiny())
        options = ["--store", tmp_path / "store", "--registry", toy_cards]
        assert call("run", spec, *options, "--devices", "cpu") == 0
        capsys.readouterr()
        assert call("report", "--store", tmp_path / "store", "--format", "csv") == 0
        last = capsys.readouterr().out
        assert call("report", spec, *options, "--format", "csv") == 0
        assert capsys.readouterr().out == last != ""


# ─ showing ─


@pytest.mark.parametrize("format", ["csv", "json", "latex"])
def test_a_text_goes_to_the_terminal_or_into_a_folder(done: Done, tmp_path, capsys, format):
    session.show(*done, format, None)
    shown = capsys.readouterr().out
    session.show(*done, format, tmp_path / "new" / "out")
    path = tmp_path / "new" / "out" / f"tiny.{'tex' if format == 'latex' else format}"
    assert capsys.readouterr().out == f"{path}\n"
    assert path.read_text() == shown
    if format == "json":
        assert json.loads(shown)


def test_a_page_is_written_beside_the_store_or_where_it_is_wanted(done: Done, tmp_path, capsys):
    toy, kept = done
    session.show(toy, kept, "rich", None)
    assert f"page: {kept.root / 'reports' / 'tiny'}" in capsys.readouterr().out.replace("\n", "")
    session.show(toy, kept, "html", tmp_path / "page")
    assert capsys.readouterr().out.startswith(str(tmp_path / "page"))


@pytest.mark.parametrize("format", ["csv", "html"])
def test_a_report_that_cannot_be_written_is_one_message(done: Done, tmp_path, format):
    (tmp_path / "file").touch()
    with pytest.raises(
        InvspecError, match=r"cannot write .*: Not a directory\nhint: choose another --output"
    ):
        session.show(*done, format, tmp_path / "file" / "out")


def test_a_format_that_is_not_known_is_refused(done: Done):
    with pytest.raises(SpecError, match="no format 'pdf'"):
        session.show(*done, "pdf", None)
