"""What is asked of Ray, and how: without Ray. test_ray_cluster.py runs it."""

from __future__ import annotations

import os
import re
import sys
from types import SimpleNamespace

import pytest

from invspec.errors import InvspecError
from invspec.execution.pools import ray as pools_ray
from invspec.execution.pools.ray import Capacity, RayExecutor


def node(alive=True, **resources):
    return {"Alive": alive, "Resources": resources}


class Ray:
    """A module like ray that records how it is called."""

    def __init__(self, *nodes, problem=None):
        self.listed, self.problem, self.options = list(nodes), problem, {}
        self.connected = False
        printer = SimpleNamespace(print_to_stdstream=print)
        self._private = SimpleNamespace(worker=printer)

    def is_initialized(self):
        return self.connected

    def init(self, **options):
        self.options = options
        if self.problem:
            raise self.problem

    def nodes(self):
        return self.listed


@pytest.fixture
def ray(monkeypatch):
    """A pretended cluster of one node with four CPUs, as the module ray."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    module = Ray(node(CPU=4.0))
    monkeypatch.setattr(pools_ray, "_ray", lambda: module)
    return module


def test_without_the_package_ray_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InvspecError, match="--executor ray needs the package ray") as caught:
        pools_ray._ray()
    assert caught.value.hint == "install invspec with its extra ray"
    # said before Ray is imported, which reads it once
    assert os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] == "0"


@pytest.mark.parametrize(
    ("nodes", "per_device", "slots", "needs"),
    [
        ([node(CPU=4.0), node(CPU=2.0)], 1, 6, {"num_cpus": 1}),
        ([node(CPU=4.0)], 3, 4, {"num_cpus": 1}),
        ([node(CPU=4.0, GPU=2.0), node(CPU=2.0)], 1, 2, {"num_cpus": 0, "num_gpus": 1.0}),
        # more slots than CPUs
        ([node(CPU=1.0, GPU=1.0)], 4, 4, {"num_cpus": 0, "num_gpus": 0.25}),
        # half a CPU on each of two nodes is room for nobody
        ([node(CPU=1.5), node(CPU=1.5)], 1, 2, {"num_cpus": 1}),
        ([node(CPU=4.0), node(alive=False, CPU=9.0, GPU=3.0)], 1, 4, {"num_cpus": 1}),
    ],
)
def test_slots_fill_every_gpu_or_else_every_cpu(nodes, per_device, slots, needs):
    capacity = Capacity.of(nodes, per_device)
    assert (capacity.slots, capacity.needs()) == (slots, needs)
    assert capacity.check(slots) == slots
    assert capacity.device == ("cuda" if "num_gpus" in needs else "cpu")


@pytest.mark.parametrize(
    ("nodes", "per_device", "workers", "message", "hint"),
    [
        ([node(CPU=2.0)], 1, 3, "3 workers do not fit: .* 2 CPUs and 0 GPUs on 1 node$", "2 or f"),
        ([node(CPU=8.0, GPU=1.0)] * 2, 2, 5, "5 .* 16 CPUs and 2 GPUs on 2 nodes$", "4 or fewer"),
        ([], 1, 1, "has 0 CPUs and 0 GPUs on 0 nodes$", "start more nodes"),
        ([node()], 1, None, "0 workers do not fit", "start more nodes"),
    ],
)
def test_workers_that_do_not_fit_are_refused(
    ray, tmp_path, nodes, per_device, workers, message, hint
):
    ray.listed = nodes
    with pytest.raises(InvspecError) as caught:
        RayExecutor("auto", workers, per_device).open(tmp_path, 100)
    assert re.search(message, caught.value.message)
    assert hint in caught.value.hint


def opened(ray, address, tmp_path):
    """How Ray was asked for a cluster, none of whose nodes has room."""
    ray.listed = []
    with pytest.raises(InvspecError, match="do not fit"):
        RayExecutor(address, workers=1).open(tmp_path, 1)
    return ray.options


def test_without_an_address_a_small_quiet_cluster_is_started_on_this_machine(ray, tmp_path):
    options = opened(ray, None, tmp_path)
    assert options["address"] == "local"
    assert options["object_store_memory"] <= 2**27
    assert not options["include_dashboard"]
    assert (options["log_to_driver"], options["logging_level"]) == (False, "ERROR")


def test_an_existing_cluster_keeps_its_own_settings_and_gets_no_files(ray, tmp_path):
    options = opened(ray, "auto", tmp_path)
    assert set(options) == {"address", "log_to_driver", "logging_level"}


def test_the_address_in_rays_own_variable_is_used(ray, tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    assert opened(ray, None, tmp_path)["address"] == "auto"


def test_a_connection_that_exists_is_used_again(ray, tmp_path):
    ray.connected = True
    assert opened(ray, "auto", tmp_path) == {}


def test_reports_of_ray_stay_off_stdout(ray, tmp_path, capsys):
    opened(ray, "auto", tmp_path)
    ray._private.worker.print_to_stdstream({"lines": ["a worker died"]}, ignore_prefix=False)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("address", "problem", "message"),
    [
        ("auto", ConnectionError("no node\n  here"), "no Ray cluster at auto: no node here"),
        (None, RuntimeError("no room"), "no Ray cluster on this machine: no room"),
        ("ray://head:10001", None, "no Ray cluster at ray://head:10001: Ray Client cannot stream"),
        ("127.0.0.1:1", None, "no Ray cluster at 127.0.0.1:1: .*refused"),
    ],
)
def test_a_cluster_that_cannot_be_reached_is_one_message(ray, tmp_path, address, problem, message):
    ray.problem = problem
    with pytest.raises(InvspecError, match=message) as caught:
        RayExecutor(address).open(tmp_path, 1)
    assert "ray start" in caught.value.hint
