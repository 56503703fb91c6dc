"""The words of `invspec plan` about time: what the tasks to do will take, and how it is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from invspec.analysis import shipped
from invspec.analysis.forecast import Estimate, Forecast, Seconds
from invspec.analysis.history import MOST_OTHERS
from invspec.analysis.likeness import CLOSENESS, Closeness
from invspec.errors import counted
from invspec.execution.devices import devices
from invspec.execution.worker import device_name
from invspec.report.format import duration
from invspec.tasks import Task

UNKNOWN, NOTHING = "?", "-"
DIFFERENCE: dict[Closeness, str] = {
    "seed": "in the seed only",
    "scale": "in the scale",
    "settings": "in settings",
    "kind": "in more",
}


def headings(expected: Forecast) -> list[str]:
    """The headings of the columns of times."""
    return [f"left on {device}" for device in expected.devices] or ["time left"]


def cells(expected: Forecast, to_come: Sequence[Task]) -> list[str]:
    """What some tasks will take on each device; "+ ?" if some have no similar task."""
    if not to_come:
        return [NOTHING] * len(headings(expected))
    return [_cell(expected.estimate(to_come, device)) for device in expected.devices] or [UNKNOWN]


def _cell(estimate: Estimate) -> str:
    known = [duration(estimate.seconds.median)] if estimate.like else []
    return " + ".join([*known, *([UNKNOWN] if estimate.unlike else [])])


def lines(expected: Forecast) -> Iterator[str]:
    """The compute time of all tasks to do on each device, and what it is estimated from."""
    if not expected.works:
        return
    if not expected.devices:
        yield "no task in the store is like those to do: nothing to estimate their time from"
    slots = _slots()
    for device in expected.devices:
        workers = slots["cpu" if device == shipped.DEVICE else device]
        yield from _device_lines(expected, device, workers)
    if expected.is_cut:
        yield f"the store has more tasks: {MOST_OTHERS:,} of each kind were looked at"


def _device_lines(expected: Forecast, device: str, slots: int) -> Iterator[str]:
    estimate = expected.estimate(expected.works, device)
    least = "at least " if estimate.unlike else ""
    taken, place = f"{least}{duration(estimate.seconds.median)} of compute", "in the store"
    if device == shipped.DEVICE:
        machines, place = " or ".join(shipped.processors()), "among them"
        yield f"cpu: {taken} by times that ship with invspec, of a core of {machines};"
        yield "  yours may take half as long, or twice"
    else:
        basis = f"{counted(estimate.basis, 'task')} {place}"
        yield f"{device}: {taken} ({_range(estimate.seconds)}), from {basis}"
    differences = [
        f"{estimate.like[closeness]:,} {DIFFERENCE[closeness]}"
        for closeness in CLOSENESS
        if closeness in estimate.like
    ]
    yield f"  tasks that differ from the closest ones there: {', '.join(differences)}"
    if estimate.unlike:
        counts = f"{estimate.unlike:,} of {counted(len(expected.works), 'task')}"
        yield f"  {counts} have no similar task {place}; not counted"
    if slots:
        seconds = duration(expected.wall_seconds(device, slots))
        yield f"  at best {seconds} on {counted(slots, 'worker')} of this machine"


def _range(seconds: Seconds) -> str:
    return f"{duration(seconds.low)} to {duration(seconds.high)}"


def _slots() -> Counter[str]:
    """How many workers `run` starts on each kind of device of this machine."""
    import torch

    return Counter(device_name(torch.device(name)) for name in devices(None, None))
