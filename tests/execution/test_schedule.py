"""How often a task is tried: crashes are its fault, losses of machines are not."""

from __future__ import annotations

from workbench import train

from invspec.execution.events import Failed, Lost, Progress, Retried
from invspec.execution.schedule import ATTEMPTS, MACHINE_LOSSES, Schedule

TASK = train()


def lose(schedule, *, by_machine, reached=None):
    """Start the task, and lose it after it has reported some progress."""
    list(schedule.release())
    assert schedule.pop() == TASK
    if reached is not None:
        schedule.record(Progress(TASK, reached, 100, {}))
    return type(schedule.record(Lost(TASK, "gone", by_machine)))


def test_a_crash_costs_one_of_two_tries():
    schedule = Schedule([TASK])
    outcomes = [lose(schedule, by_machine=False) for _ in range(ATTEMPTS)]
    assert outcomes == [Retried, Failed]


def test_losses_of_machines_cost_no_try_up_to_five_times():
    schedule = Schedule([TASK])
    outcomes = [lose(schedule, by_machine=True) for _ in range(MACHINE_LOSSES)]
    assert outcomes == [Retried] * 5
    assert lose(schedule, by_machine=True) is Failed


def test_crashes_and_losses_of_machines_are_counted_apart():
    schedule = Schedule([TASK])
    assert [lose(schedule, by_machine=False), lose(schedule, by_machine=True)] == [Retried] * 2
    assert lose(schedule, by_machine=False) is Failed


def test_a_task_that_comes_further_each_time_may_be_lost_more_often():
    schedule = Schedule([TASK])
    for reached in range(10, 100, 10):
        assert lose(schedule, by_machine=True, reached=reached) is Retried


def test_a_task_that_comes_no_further_fails():
    schedule = Schedule([TASK])
    outcomes = [lose(schedule, by_machine=True, reached=10) for _ in range(MACHINE_LOSSES + 1)]
    assert outcomes == [Retried] * MACHINE_LOSSES + [Failed]
