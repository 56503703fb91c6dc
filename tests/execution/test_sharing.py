"""A task that ran out of memory gets its device for itself, once."""

import pytest

from invspec.execution.pools.sharing import Sharing


@pytest.fixture
def sharing():
    """Three workers share a card, one has another card."""
    return Sharing({"a": 0, "b": 0, "c": 0, "d": 1})


def test_workers_may_get_tasks_until_one_runs_out_of_memory(sharing):
    assert all(map(sharing.is_open, "abcd"))
    assert sharing.wait("a")
    assert [worker for worker in "abcd" if sharing.is_open(worker)] == ["d"]


def test_a_task_waits_until_the_others_of_its_device_are_idle(sharing):
    sharing.wait("a")
    assert sharing.next(["b", "d"]) == []
    assert sharing.waits("a")
    assert sharing.next(["d"]) == ["a"]
    assert not sharing.waits("a")


def test_while_a_task_runs_alone_the_others_get_none(sharing):
    sharing.wait("a")
    sharing.next([])
    assert [worker for worker in "abcd" if sharing.is_open(worker)] == ["d"]
    sharing.release("a")
    assert all(map(sharing.is_open, "abcd"))


def test_a_task_that_had_the_device_alone_does_not_wait_again(sharing):
    sharing.wait("a")
    sharing.next([])
    assert not sharing.wait("a")


def test_a_worker_without_others_on_its_device_does_not_wait(sharing):
    assert sharing.others("d") == []
    assert not sharing.wait("d")


def test_waiting_tasks_run_one_after_the_other(sharing):
    assert sharing.wait("a")
    assert sharing.wait("b")
    assert sharing.next([]) == ["a"]
    assert sharing.next(["a"]) == []
    sharing.release("a")
    assert sharing.next([]) == ["b"]
    sharing.release("b")
    assert all(map(sharing.is_open, "abcd"))


def test_a_worker_that_finishes_beside_a_waiting_task_opens_nothing(sharing):
    sharing.wait("a")
    sharing.release("b")
    assert not sharing.is_open("b")
