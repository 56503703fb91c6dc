"""The words about the time of tasks to do."""

from collections import Counter

import pytest
from workbench import perturb, train

from invspec.analysis.forecast import forecast
from invspec.attacks.fgsm import FGSM
from invspec.cli import hours
from invspec.execution.store import Store
from invspec.perform.runtime import Artifact

CARD = "NVIDIA H200"
OTHER = perturb(FGSM(eps=0.1))


@pytest.fixture(autouse=True)
def two_cores(monkeypatch):
    monkeypatch.setattr(hours, "_slots", lambda: Counter(cpu=2))


def expected(root, to_do, **seconds):
    """The forecast of tasks after trainings with seeds from 100 took some seconds by device."""
    store, seed = Store(root), 100
    for device, times in seconds.items():
        for time in times:
            name = device.replace("_", " ")
            store.save(train(seed=seed), Artifact({}), seconds=time, device=name)
            seed += 1
    return forecast(to_do, [], store)


def test_a_forecast_says_its_range_and_what_it_rests_on(tmp_path):
    to_do = [train(), train(seed=1), OTHER]
    assert list(hours.lines(expected(tmp_path, to_do, cpu=[3600.0, 7200.0, 10800.0]))) == [
        "cpu: at least 4 h 0 min of compute (3 h 0 min to 5 h 0 min), from 3 tasks in the store",
        "  tasks that differ from the closest ones there: 2 in the seed only",
        "  1 of 3 tasks have no similar task in the store; not counted",
        "  at best 2 h 0 min on 2 workers of this machine",
    ]


def test_a_device_that_this_machine_lacks_has_no_wall_time(tmp_path):
    lines = list(hours.lines(expected(tmp_path, [train()], NVIDIA_H200=[30.0], cpu=[60.0])))
    assert [line for line in lines if not line.startswith("  ")] == [
        "NVIDIA H200: 30 s of compute (30 s to 30 s), from 1 task in the store",
        "cpu: 1 min 0 s of compute (1 min 0 s to 1 min 0 s), from 1 task in the store",
    ]
    assert [line for line in lines if "at best" in line] == [
        "  at best 1 min 0 s on 2 workers of this machine"
    ]


def test_one_worker_is_in_the_singular(tmp_path, monkeypatch):
    monkeypatch.setattr(hours, "_slots", lambda: Counter(cpu=1))
    *_, last = hours.lines(expected(tmp_path, [train()], cpu=[60.0]))
    assert last == "  at best 1 min 0 s on 1 worker of this machine"


def test_a_store_without_like_tasks_gives_no_time(tmp_path):
    nothing = "no task in the store is like those to do: nothing to estimate their time from"
    assert list(hours.lines(expected(tmp_path, [train()]))) == [nothing]
    assert list(hours.lines(expected(tmp_path, [OTHER], cpu=[60.0]))) == [nothing]


def test_a_plan_that_is_done_needs_no_words(tmp_path):
    assert list(hours.lines(expected(tmp_path, [], cpu=[60.0]))) == []


def test_a_large_store_is_said_to_be_looked_at_in_part(tmp_path):
    forecast_of_part = expected(tmp_path, [train()], cpu=[60.0])
    forecast_of_part.is_cut = True
    *_, last = hours.lines(forecast_of_part)
    assert last == "the store has more tasks: 5,000 of each kind were looked at"


def test_a_cell_says_what_is_unknown(tmp_path):
    to_do = [train(), OTHER]
    known = expected(tmp_path, to_do, cpu=[60.0])
    assert hours.headings(known) == ["left on cpu"]
    assert hours.cells(known, []) == ["-"]
    assert hours.cells(known, [train()]) == ["1 min 0 s"]
    assert hours.cells(known, [OTHER]) == ["?"]
    assert hours.cells(known, to_do) == ["1 min 0 s + ?"]


def test_without_a_device_the_time_left_is_unknown(tmp_path):
    unknown = expected(tmp_path, [train()])
    assert hours.headings(unknown) == ["time left"]
    assert hours.cells(unknown, [train()]) == ["?"]
    assert hours.cells(unknown, []) == ["-"]
