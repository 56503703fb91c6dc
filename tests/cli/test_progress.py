"""Progress: which events print a line, and which bars move."""

import io
import json
import platform
import re
import time

import pytest
import torch
from rich.console import Console
from workbench import perturb, score, toys, train, wait_for

from invspec.checks.silent import Silent
from invspec.cli import outlook as outlook_of_runs
from invspec.cli import progress
from invspec.cli.outlook import Outlook, _rounded
from invspec.cli.progress import Lines, Live
from invspec.execution import events
from invspec.execution.runtime import StoreRuntime
from invspec.execution.store import Store
from invspec.execution.worker import perform
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


def test_while_nothing_else_is_printed_a_line_says_how_far_the_run_is(monkeypatch):
    monkeypatch.setattr(progress, "QUIET", 0.05)
    view = lines()
    with view:
        view.handle(events.Surveyed(3, (train(), SHIFT, SCORE)))
        wait_for(lambda: "starting workers" in view.console.file.getvalue())
        view.handle(events.Started(train(), "cpu"))
        view.handle(events.Progress(train(), 1, 2))
        wait_for(lambda: "seed 0: 50 %" in view.console.file.getvalue())
    first, *_, last = view.console.file.getvalue().splitlines()
    assert re.fullmatch(r"0 of 3 tasks \(0 %\), \d\.\d s so far; starting workers", first)
    expected = r"0 of 3 tasks \(0 %\), .* so far; train Linear · Standard · seed 0: 50 %"
    assert re.fullmatch(expected, last)
    printed_so_far = view.console.file.getvalue()
    time.sleep(0.2)
    assert view.console.file.getvalue() == printed_so_far


def test_a_line_that_matters_puts_the_next_count_off(monkeypatch):
    monkeypatch.setattr(progress, "QUIET", 0.4)
    view = lines()
    with view:
        for number in range(8):
            view.handle(events.Warned(SHIFT, f"warning {number}"))
            time.sleep(0.1)
    assert "tasks" not in view.console.file.getvalue()


def searches(*parts):
    return [perturb(toys.Shift(), part=part) for part in parts]


def test_the_time_that_is_left_is_learnt_from_like_tasks():
    tasks = searches((0, 10), (10, 20), (20, 60))
    outlook = Outlook(tasks, ())
    assert outlook.left == ""
    outlook.start(tasks[0])
    outlook.finish(tasks[0], 100.0)
    # 10 s for each example, of which there are 50 more
    assert outlook.left == "about 8 min left"
    outlook.start(tasks[2])
    outlook.advance(tasks[2], 0.5)
    assert outlook.left == "about 5 min left"
    outlook.start(tasks[1])
    # two at a time: the longer one decides
    assert outlook.left == "about 3 min left"
    outlook.stop(tasks[2])
    assert outlook.left == "about 7 min left"
    for task in tasks[1:]:
        outlook.finish(task)
    assert outlook.left == ""


def test_what_is_known_of_a_store_counts_before_the_first_task_ends(tmp_path):
    store = Store(tmp_path)
    store.prepare()
    done, to_do = searches((0, 10), (10, 20))
    runtime = StoreRuntime(store, torch.device("cpu"), 8, lambda *report: None)
    for task in (train(), done):
        assert perform(task, runtime)[0] == "done"
    made = store.folder(done) / "made.json"
    made.write_text(json.dumps({**json.loads(made.read_text()), "seconds": 1000.0}))
    outlook = Outlook([to_do], [train(), done], store)
    wait_for(lambda: outlook.left == "about 17 min left")


def test_a_time_of_which_a_part_is_unknown_is_the_least():
    known, other = searches((0, 10), (10, 20))
    outlook = Outlook([known, other, SCORE], ())
    outlook.finish(known, 600.0)
    assert outlook.left == "at least 10 min left"
    outlook.finish(other)
    # nothing is known of most of what is left
    assert outlook.left == ""


def test_where_nothing_else_is_known_the_pace_of_running_tasks_counts(monkeypatch):
    now = 0.0
    monkeypatch.setattr(outlook_of_runs.time, "monotonic", lambda: now)
    first, second = train(), train(seed=1)
    outlook = Outlook([first, second, *searches((0, 10), (10, 20)), SCORE], ())
    outlook.start(first)
    # a checkpoint had half of it: what follows counts
    now = 100.0
    outlook.advance(first, 0.5)
    now = 103.0
    outlook.advance(first, 0.51)
    assert outlook.left == ""
    now = 160.0
    outlook.advance(first, 0.6)
    # 600 s a training: 240 s of this one, and another; searches and scores are unknown
    assert outlook.left == "at least 14 min left"
    outlook.finish(first, 300.0)
    assert outlook.left == "at least 5 min left"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(3, "10 s"), (47, "50 s"), (95, "2 min"), (3000, "50 min"), (12_345, "3 h 20 min")],
)
def test_times_are_rounded(seconds, words):
    assert _rounded(seconds) == words


def test_the_bars_fit_a_narrow_terminal():
    file = io.StringIO()
    view = Live(Console(file=file, width=80, force_terminal=True, color_system=None))
    with view:
        view.handle(events.Surveyed(1704, (SHIFT,)))
        view.handle(events.Started(SHIFT, "cpu"))
        numbers = {"loss": 0.25, "accuracy": 0.875, "clean": 0.5}
        view.handle(events.Progress(SHIFT, 3, 128, numbers))
        view.progress.refresh()
    shown = [line for line in re.split(r"[\r\n]", file.getvalue()) if "3/128" in line]
    line = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown[-1]).rstrip()
    assert len(line) <= 80
    assert re.match(r"\S +3/128 +2%", line)
    assert "Shift 0-20" in line


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
