"""Runs on a Ray cluster give the bytes of a run on this machine, also when nodes are lost."""

from __future__ import annotations

import os
import re
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from runs import GOALS, edited_once_surveyed, outcome, tasks_of
from workbench import ROOT, TINY, TOYS, command, perturb, registered, score, toys, train, written

from invspec.datasets.image_folder import ImageFolder
from invspec.errors import InvspecError
from invspec.execution import events
from invspec.execution.execute import execute
from invspec.execution.pools.local import LocalExecutor
from invspec.execution.pools.ray import RayExecutor
from invspec.execution.store import Store
from invspec.registry import cards, methods

pytestmark = pytest.mark.slow

# 24 batches of 8 examples, with a nap after each epoch: some seconds
SLOW = train(defence=toys.Plodding(epochs=80, batch_size=8, lr=0.1, nap=0.1))
PAYLOADS = ("model.safetensors", "examples.safetensors", "tensors.safetensors", "rows.json")


@pytest.fixture(scope="module")
def cluster():
    """A cluster on this machine, whose head has no CPUs for workers."""
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(TOYS)]))
        patch.setenv("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.delenv("INVSPEC_DATA", raising=False)
        machines = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
        try:
            yield machines
        finally:
            ray.shutdown()
            machines.shutdown()


@pytest.fixture
def two_nodes(cluster):
    """The cluster with exactly two nodes of one CPU beside its head."""
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    with registered():
        yield cluster
    for node in [node for node in cluster.worker_nodes if node not in nodes]:
        cluster.remove_node(node, allow_graceful=True)
    for node in nodes:
        if node in cluster.worker_nodes:
            cluster.remove_node(node, allow_graceful=True)


def on_ray(cluster, goals, root, **options):
    """The events of a run, and its pool, as they come."""
    executor, pools = RayExecutor(cluster.address, **options), []

    def open_(root, tasks):
        pools.append(executor.open(root, tasks))
        return pools[0]

    for event in execute(goals, Store(root), SimpleNamespace(open=open_)):
        yield event, *pools


def run_on_ray(cluster, goals, root, **options):
    return [event for event, *_ in on_ray(cluster, goals, root, **options)]


def payloads(root):
    """The bytes of every payload of a store, by its path."""
    paths = (path for path in sorted(root.rglob("*")) if path.name in PAYLOADS)
    return {path.relative_to(root): path.read_bytes() for path in paths}


def local(goals, root):
    """The payloads of a run on this machine."""
    for _ in execute(goals, Store(root), LocalExecutor()):
        pass
    return payloads(root)


def remove_node_of(cluster, actor):
    """Kill the node on which an actor is, with all of its processes."""
    (node,) = (node for node in cluster.worker_nodes if node.node_id == actor.node)
    cluster.remove_node(node, allow_graceful=False)


def run_and_lose_nodes(cluster, goals, root, losses):
    """The events of a run in which the node that trains SLOW is lost some times, and replaced."""
    happened, worker = [], ""
    for event, *pools in on_ray(cluster, goals, root):
        happened.append(event)
        if isinstance(event, events.Started) and event.task == SLOW:
            worker = event.worker
        if isinstance(event, events.Progress) and event.task == SLOW and event.done > 1 and losses:
            losses -= 1
            remove_node_of(cluster, pools[0].actors[worker])
            cluster.add_node(num_cpus=1)
    return happened


def test_a_run_gives_the_bytes_of_a_local_one(two_nodes, tmp_path):
    happened = run_on_ray(two_nodes, GOALS, tmp_path / "ray")
    assert {type(event).__name__ for event in happened} >= {"WorkerJoined", "Started", "Done"}
    assert len(tasks_of(events.Done, happened)) == 8
    assert payloads(tmp_path / "ray") == local(GOALS, tmp_path / "local") != {}
    # what workers wrote to show that they see the store
    assert not list((tmp_path / "ray" / "partial").glob("*"))


@pytest.mark.parametrize("losses", [1, 2])
def test_nodes_lost_in_the_middle_of_a_training_cost_a_retry_each(two_nodes, tmp_path, losses):
    goals = [score(perturb(toys.Shift(), SLOW)), *GOALS]
    happened = run_and_lose_nodes(two_nodes, goals, tmp_path / "ray", losses)
    assert tasks_of(events.Retried, happened) == [SLOW] * losses
    assert set(outcome(happened).values()) == {"Done"}
    # the node that came back got a worker
    joined = [event for event in happened if isinstance(event, events.WorkerJoined)]
    lost = [event for event in happened if isinstance(event, events.WorkerLost)]
    assert len(joined) > 2
    assert {event.reason for event in lost} == {"its node was lost"}
    assert payloads(tmp_path / "ray") == local(goals, tmp_path / "local")


def test_a_task_that_kills_its_process_has_two_tries_and_nothing_reaches_stdout(
    two_nodes, tmp_path, capfd
):
    dies = perturb(toys.Dies())
    happened = run_on_ray(two_nodes, [dies, train(seed=1)], tmp_path)
    assert tasks_of(events.Retried, happened) == [dies]
    (failed,) = (event for event in happened if isinstance(event, events.Failed))
    assert "ActorDiedError in each of 2 attempts" in failed.message
    assert capfd.readouterr().out == ""


def test_a_defect_is_a_failure_and_not_a_lost_worker(two_nodes, tmp_path):
    happened = run_on_ray(two_nodes, [perturb(toys.Breaks()), train()], tmp_path)
    assert len(tasks_of(events.Failed, happened)) == 1
    assert not [event for event in happened if isinstance(event, events.WorkerLost)]


def test_a_frozen_worker_is_given_up_and_one_without_progress_is_not(two_nodes, tmp_path):
    frozen = perturb(toys.Freezes(marker=str(tmp_path / "marker")))
    slow = perturb(toys.Sleeps(seconds=20))
    happened = run_on_ray(two_nodes, [frozen, slow], tmp_path / "ray", patience=10.0)
    assert outcome(happened) == dict.fromkeys([train(), frozen, slow], "Done")
    (retried,) = (event for event in happened if isinstance(event, events.Retried))
    assert retried.task == frozen
    assert retried.reason.endswith(": was silent for 10 s")


def test_workers_that_do_not_fit_are_refused_at_once(two_nodes, tmp_path):
    message = "7 workers do not fit: the cluster has 2 CPUs and 0 GPUs on 3 nodes"
    with pytest.raises(InvspecError, match=message):
        RayExecutor(two_nodes.address, workers=7).open(tmp_path, 100)


# ─ nodes that differ ─


def images(root, sizes):
    """Images of two classes, as a data set in a folder of data."""
    for label in ("adder", "newt"):
        for number, size in enumerate(sizes):
            pixels = np.random.default_rng(number).integers(0, 256, (size, size, 3), dtype=np.uint8)
            path = root / "photos" / label / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
    return root


def test_a_node_with_other_data_refuses_and_the_others_do_its_work(
    two_nodes, tmp_path, monkeypatch
):
    other = images(tmp_path / "other", [8, 9, 10])
    two_nodes.add_node(num_cpus=1, env_vars={"INVSPEC_DATA": str(other)})
    # the other nodes have no such variable, and take over the run's
    monkeypatch.setenv("INVSPEC_DATA", str(images(tmp_path / "data", [8, 8, 8])))
    dataset = ImageFolder(folder="photos", train=".", val=".", test=".", size=8, resize=8)
    goals = [train(dataset=dataset, seed=seed) for seed in range(6)]
    happened = run_on_ray(two_nodes, goals, tmp_path / "ray")
    assert set(outcome(happened).values()) == {"Done"}
    (refused,) = (event for event in happened if isinstance(event, events.WorkerLost))
    assert refused.refused
    assert "the task has the key" in refused.reason
    (retried,) = (event for event in happened if isinstance(event, events.Retried))
    assert "hint: expected equal data files" in retried.reason
    started = [event.worker for event in happened if isinstance(event, events.Started)]
    assert started.count(refused.worker) == 1


def test_workers_with_another_registry_are_refused_and_both_keys_named(two_nodes, tmp_path):
    folder = shutil.copytree(TOYS, tmp_path / "toys", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(TOYS / "toy_methods.py", folder / "toy_others.py")
    (folder / "attack" / "other.yaml").write_text("target: toy_others:Shift\nsummary: toy\n")
    cards.add(folder)
    goals = [perturb(methods.make("attack", "other", {}))]
    running = on_ray(two_nodes, goals, tmp_path / "ray")
    try:
        with pytest.raises(InvspecError, match="no worker can work for this run: ") as caught:
            list(edited_once_surveyed((event for event, *_ in running), folder / "toy_others.py"))
    finally:
        cards._added.remove(folder.resolve())
    assert re.search("the task has the key [0-9a-f]{12} here and [0-9a-f]{12}", str(caught.value))


def test_a_registry_that_the_nodes_lack_is_named(two_nodes, tmp_path, monkeypatch):
    missing = tmp_path / "missing"
    monkeypatch.setattr(cards, "added", lambda: (missing,))
    with pytest.raises(InvspecError, match=f"no folder {missing} on ") as caught:
        run_on_ray(two_nodes, GOALS, tmp_path / "ray")
    assert "--registry" in str(caught.value)


def test_nodes_without_invspec_are_named(cluster, tmp_path):
    lacks = "import sys\nsys.modules['invspec'] = None\n"
    (tmp_path / "sitecustomize.py").write_text(lacks)
    node = cluster.add_node(num_cpus=1, env_vars={"PYTHONPATH": str(tmp_path)})
    message = "no worker can work for this run: ModuleNotFoundError: .*invspec"
    try:
        with registered(), pytest.raises(InvspecError, match=message):
            run_on_ray(cluster, GOALS, tmp_path / "ray")
    finally:
        cluster.remove_node(node, allow_graceful=True)


def test_slots_share_a_gpu_and_a_gpu_that_torch_lacks_is_named(cluster, tmp_path):
    # Ray believes that the node has a GPU; torch does not
    node = cluster.add_node(num_cpus=1, num_gpus=1)
    try:
        with pytest.raises(InvspecError, match="no worker can work for this run") as caught:
            run_on_ray(cluster, GOALS, tmp_path / "ray", per_device=3)
        assert "CUDA" in str(caught.value) or "NVIDIA" in str(caught.value)
    finally:
        cluster.remove_node(node, allow_graceful=True)


# ─ the command ─


def test_the_command_runs_on_a_cluster_of_this_machine(tmp_path):
    pytest.importorskip("ray")
    spec = written(tmp_path, TINY)
    result = command(
        "run", spec, "--executor", "ray", "--registry", TOYS, "--store", tmp_path / "store",
        "--workers", 1, HOME=str(tmp_path),
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "tasks: 3 computed" in result.stderr
    # a worker on this machine is not worth a line, nor is anything that Ray says
    assert "joined" not in result.stderr
    assert "ray" not in result.stderr.lower()
    assert result.stdout.lstrip().startswith("a toy")
