"""Progress: which events print a line, and which bars move."""

import io
import platform

import pytest
from rich.console import Console
from workbench import perturb, score, toys, train

from invspec.checks.silent import Silent
from invspec.cli import progress
from invspec.cli.progress import Lines, Live
from invspec.execution import events
from invspec.tasks import Examine

SHIFT = perturb(toys.Shift())
SCORE = score(SHIFT)


def printed(view, happened):
    """What a view prints about events."""
    with view:
        for event in happened:
            view.handle(event)
    return view.console.file.getvalue()


def console(**options):
    return Console(file=io.StringIO(), width=200, highlight=False, **options)


def lines():
    return Lines(console())


def live():
    return Live(console(force_terminal=True, color_system=None))


LINES = {
    "warning: Shift 0-20 on Linear · Standard · seed 0: it draws": events.Warned(SHIFT, "it draws"),
    "train Linear · Standard · seed 0: 12 s": events.Done(train(), 12.3),
    "failed: Shift 0-20 on Linear · Standard · seed 0: no [bold]luck": events.Failed(
        SHIFT, "no [bold]luck"
    ),
    "retrying: Shift 0-20 on Linear · Standard · seed 0: it died": events.Retried(SHIFT, "it died"),
    "waiting: train Linear · Standard · seed 0: process 7 on node computes it": events.Waiting(
        train(), "process 7 on node"
    ),
    "damaged: Accuracy on Linear · Standard · seed 0: rows.json": events.Damaged(
        SCORE, "rows.json"
    ),
    "outdated: Accuracy on Linear · Standard · seed 0: its input": events.Outdated(
        SCORE, "its input"
    ),
}


@pytest.mark.parametrize(("line", "event"), LINES.items(), ids=lambda v: type(v).__name__)
def test_important_events_print_a_line(line, event):
    assert printed(lines(), [event]) == f"{line}\n"


@pytest.mark.parametrize(
    "event",
    [
        events.Surveyed(3),
        events.Cached(SHIFT),
        events.Cached(SHIFT, by_another_run=True),
        events.Waiting(SHIFT, "process 7 on node"),
        events.Started(SHIFT, "cpu"),
        events.Progress(SHIFT, 1, 2),
        events.Done(SHIFT, 0.1),
        events.Skipped(SCORE, SHIFT),
    ],
    ids=lambda v: type(v).__name__,
)
def test_other_events_print_nothing(event):
    assert printed(lines(), [event]) == ""


def test_a_reason_is_printed_once():
    failures = ((train(), "no data"), (SHIFT, "no luck"), (SCORE, "no data"))
    failed = [events.Failed(task, reason) for task, reason in failures]
    first, second, third = printed(lines(), failed).splitlines()
    assert first.endswith("seed 0: no data")
    assert second.endswith("seed 0: no luck")
    assert third.endswith("seed 0: for the same reason")


def test_a_warning_is_printed_once():
    first, again = events.Warned(SHIFT, "it draws"), events.Warned(SCORE, "it draws")
    assert printed(lines(), [first, again]).count("it draws") == 1


def test_after_half_a_minute_of_silence_the_count_is_printed(monkeypatch):
    now = iter([0.0, 20.0, 31.0, 31.5, 31.5, 40.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now))
    assert printed(lines(), [events.Done(SHIFT, 1.0)] * 3) == "2 tasks done in 32 s\n"


def test_the_summary_counts_events():
    view = lines()
    assert view.summary().startswith("tasks: none · ")
    happened = [
        events.Cached(train()),
        events.Done(SHIFT, 1),
        events.Done(SCORE, 1),
        events.Failed(SHIFT, "no"),
        events.Skipped(SCORE, SHIFT),
    ]
    printed(view, happened)
    counts = "2 computed, 1 found in the store, 1 failed, 1 skipped"
    assert view.summary().startswith(f"tasks: {counts} · ")


def test_the_summary_counts_checks_apart():
    attacked = (perturb(toys.Shift()),)
    check = Examine(Silent(), train(), attacked, attacked[0].sample, 8)
    view = lines()
    printed(view, [events.Done(SHIFT, 1), events.Done(check, 1), events.Skipped(check, SHIFT)])
    assert view.summary().startswith("tasks: 1 computed · checks: 1 computed, 1 skipped · ")
    assert view.counts["Done"] == 2


def test_tasks_that_turn_out_to_be_outdated_lengthen_the_bar():
    view = live()
    with view:
        view.handle(events.Surveyed(2))
        view.handle(events.Outdated(SHIFT, "counted before"))
        assert view.progress.tasks[0].total == 2
        view.handle(events.Outdated(SCORE, "its input has changed", during_run=True))
        assert view.progress.tasks[0].total == 3


def test_a_task_that_another_run_computed_moves_the_bar_of_all_tasks():
    view = live()
    with view:
        view.handle(events.Surveyed(2))
        view.handle(events.Cached(train()))
        assert view.progress.tasks[0].completed == 0
        view.handle(events.Cached(SHIFT, by_another_run=True))
        assert view.progress.tasks[0].completed == 1


def test_bars_come_and_go_with_their_tasks():
    view = live()
    with view:
        view.handle(events.Surveyed(3))
        view.handle(events.Started(train(), "cpu"))
        view.handle(events.Progress(train(), 2, 4, {"loss": 0.25}))
        (run_bar, bar) = view.progress.tasks
        numbers = (run_bar.total, bar.completed, bar.total, bar.fields["numbers"])
        assert numbers == (3, 2, 4, "loss 0.250")
        view.handle(events.Retried(train(), "it died"))
        assert (len(view.progress.tasks), run_bar.completed) == (1, 0)
        view.handle(events.Started(train(), "cpu"))
        view.handle(events.Done(train(), 1.0))
        view.handle(events.Started(SHIFT, "cpu"))
        view.handle(events.Failed(SHIFT, "no luck"))
        view.handle(events.Skipped(SCORE, SHIFT))
        assert (view.progress.tasks, run_bar.completed) == ([run_bar], 3)
    line = "failed: Shift 0-20 on Linear · Standard · seed 0: no luck"
    assert line in view.console.file.getvalue()


def test_workers_on_other_machines_are_named_when_they_join_and_are_lost():
    happened = [
        events.WorkerJoined("ray#0", "node7", "cpu"),
        events.WorkerJoined("cpu", platform.node(), "cpu"),
        events.WorkerLost("cpu", "worker cpu ended"),
        events.WorkerLost("ray#0", "its node is gone"),
    ]
    assert printed(lines(), happened) == (
        "worker ray#0 joined: cpu on node7\nworker ray#0 is lost: its node is gone\n"
    )


def test_a_worker_that_cannot_be_used_is_named_even_if_it_never_joined():
    refused = events.WorkerLost("ray#3", "node7 has torch 2.13", refused=True)
    assert printed(lines(), [refused]) == "worker ray#3 is not used: node7 has torch 2.13\n"
