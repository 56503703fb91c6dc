"""Runs on a Ray cluster give the same bytes as on this machine, also when nodes are lost."""

from __future__ import annotations

import os

import pytest
from runs import GOALS, outcome, tasks_of
from workbench import ROOT, TOYS, perturb, registered, score, toys, train

from invspec.errors import InvspecError
from invspec.execution import events
from invspec.execution.execute import execute
from invspec.execution.pools.local import LocalExecutor
from invspec.execution.pools.ray import RayExecutor
from invspec.execution.store import Store

pytestmark = pytest.mark.slow


@pytest.fixture
def cluster(monkeypatch):
    """A cluster of two nodes on this machine, with one CPU each."""
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(TOYS)]))
    monkeypatch.setenv("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    nodes.add_node(num_cpus=1)
    try:
        with registered():
            yield nodes
    finally:
        ray.shutdown()
        nodes.shutdown()


def payloads(root):
    """The bytes of every payload of a store, by its path."""
    names = ("model.safetensors", "examples.safetensors", "tensors.safetensors", "rows.json")
    return {
        path.relative_to(root): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.name in names
    }


def local(goals, root):
    for _ in execute(goals, Store(root), LocalExecutor()):
        pass
    return payloads(root)


def test_a_run_gives_the_bytes_of_a_local_one(cluster, tmp_path):
    executor = RayExecutor(address=cluster.address)
    happened = list(execute(GOALS, Store(tmp_path / "ray"), executor))
    assert {type(event).__name__ for event in happened} >= {"WorkerJoined", "Started", "Done"}
    assert len(tasks_of(events.Done, happened)) == 8
    assert payloads(tmp_path / "ray") == local(GOALS, tmp_path / "local") != {}


def test_a_node_that_is_lost_in_the_middle_of_a_task_costs_one_retry(cluster, tmp_path):
    goals = [score(perturb(toys.Sleeps(seconds=0.2))), *GOALS]
    third = cluster.add_node(num_cpus=1)
    executor, happened = RayExecutor(address=cluster.address, workers=3), []
    for event in execute(goals, Store(tmp_path / "ray"), executor):
        happened.append(event)
        if isinstance(event, events.Started) and third is not None:
            cluster.remove_node(third)
            third = None
    assert not tasks_of(events.Failed, happened)
    assert set(outcome(happened).values()) == {"Done"}
    assert payloads(tmp_path / "ray") == local(goals, tmp_path / "local")


def test_workers_that_do_not_fit_are_refused_at_once(cluster, tmp_path):
    executor = RayExecutor(address=cluster.address, workers=7)
    with pytest.raises(InvspecError, match="7 workers do not fit: the cluster has 2 CPUs and 0"):
        executor.open(tmp_path, 100)


def test_a_cluster_that_is_not_there_is_one_clear_message(tmp_path):
    pytest.importorskip("ray")
    with pytest.raises(InvspecError, match=r"no Ray cluster at 127\.0\.0\.1:1: .*refused"):
        RayExecutor(address="127.0.0.1:1").open(tmp_path, 1)


def test_a_defect_is_a_failure_and_not_a_lost_worker(cluster, tmp_path):
    goals = [perturb(toys.Breaks()), train()]
    happened = list(execute(goals, Store(tmp_path), RayExecutor(address=cluster.address)))
    assert [event.message for event in happened if isinstance(event, events.Failed)] != []
    assert not [event for event in happened if isinstance(event, events.WorkerLost)]


def test_a_frozen_worker_is_given_up_and_one_without_progress_is_not(cluster, tmp_path):
    frozen = perturb(toys.Freezes(marker=str(tmp_path / "marker")))
    slow = perturb(toys.Sleeps(seconds=20))
    executor = RayExecutor(address=cluster.address, patience=10.0)
    happened = list(execute([frozen, slow], Store(tmp_path / "ray"), executor))
    assert outcome(happened) == dict.fromkeys([train(), frozen, slow], "Done")
    (retried,) = [event for event in happened if isinstance(event, events.Retried)]
    assert retried.task == frozen
    assert retried.reason.endswith(": was silent for 10 s")
