"""How the tasks that run on a machine share its cores."""

from __future__ import annotations

import pytest
from workbench import perturb, toys, train

from invspec.execution.pools.cores import Cores


@pytest.mark.parametrize(
    ("cores", "slots", "running", "share"),
    [
        (64, 64, 1, 64),
        (64, 64, 3, 16),
        (64, 64, 33, 1),
        (64, 8, 2, 4),
        (2, 8, 1, 2),
        (2, 8, 8, 1),
        (64, None, 1, 1),
        (64, 64, 0, 64),
    ],
)
def test_tasks_share_the_cores_that_a_run_may_use(
    cores: int, slots: int | None, running: int, share: int
) -> None:
    tasks = [perturb(toys.Shift()) for _ in range(running)]
    assert Cores(cores, slots).share(tasks) == share


def test_threads_of_a_training_count_as_cores() -> None:
    assert Cores(8, 8).share([train(threads=3), train()]) == 2
    assert Cores(4, 4).are_left([train(threads=3)])
    assert not Cores(4, 4).are_left([train(threads=3), train()])


def test_a_task_always_starts_where_nothing_runs_and_beside_gpus() -> None:
    assert Cores(2, 2).are_left([])
    assert Cores(2, None).are_left([train(threads=64)])
