"""Runs of toy tasks, for the tests of execution."""

from workbench import perturb, score, toys, train

from invspec.execution import events
from invspec.execution.execute import execute
from invspec.execution.pools.local import LocalExecutor
from invspec.execution.store import Store

SHIFT = perturb(toys.Shift())
# 8 tasks: two trainings, three attacks, three scores
GOALS = [
    score(SHIFT),
    score(perturb(toys.Shift(by=0.5))),
    score(perturb(toys.Shift(), train(seed=1))),
]


def run(goals, root, **settings):
    """The events of a run on this machine."""
    return list(execute(goals, Store(root), LocalExecutor(**settings)))


def tasks_of(kind, happened):
    """The tasks of all events of a kind."""
    return [event.task for event in happened if isinstance(event, kind)]


def outcome(happened):
    """The last event of every task, by name."""
    last = (events.Done, events.Failed, events.Skipped, events.Cached)
    return {event.task: type(event).__name__ for event in happened if isinstance(event, last)}


def edited_once_surveyed(happened, path):
    """The events of a run; when it has its keys, a file is edited, which workers read later."""
    for event in happened:
        if isinstance(event, events.Surveyed):
            with path.open("a") as file:
                file.write("\n# another version\n")
        yield event
