"""Actors come, work, refuse and are lost: on a pretended cluster, without Ray."""

from __future__ import annotations

import math
from collections import deque
from itertools import count
from types import SimpleNamespace

import pytest
from workbench import perturb, toys, train

from invspec.errors import InvspecError
from invspec.execution import events
from invspec.execution.pools import actor, actors, slots
from invspec.execution.pools.actors import ActorPool
from invspec.execution.pools.slots import Placed
from invspec.execution.pulse import Patience

TASK, OTHER = perturb(toys.Shift()), train()


class RayError(Exception):
    pass


class ActorDiedError(RayError):
    actor_init_failed = False


class ActorUnavailableError(RayError):
    pass


class InitFailed(ActorDiedError):
    actor_init_failed = True


class Ref:
    """What a call returns: values or exceptions, as the test puts them there."""

    def __init__(self, *values):
        self.values = deque(values)

    def __next__(self):
        return self.values.popleft()


class Handle:
    """An actor; its methods answer with what was put into refs before."""

    def __init__(self, placed):
        self.joins, self.messages, self.given = Ref(placed), Ref(), []
        self.enter = SimpleNamespace(remote=lambda: self.joins)
        self.perform = SimpleNamespace(options=lambda **_: SimpleNamespace(remote=self._perform))

    def _perform(self, task):
        self.given.append(task)
        return self.messages


class Cluster:
    """A module like ray, and the actors that it was asked for, which join as `places` say."""

    exceptions = SimpleNamespace(RayError=RayError, ActorUnavailableError=ActorUnavailableError)

    def __init__(self, root, *places):
        self.root, self.places, self.handles, self.killed = root, deque(places), [], []
        self.alive, self.numbers = {"n0", "n1"}, count()

    def start(self):
        """The next actor; it is never placed where there is no place left."""
        self.handles.append(Handle(self.places.popleft() if self.places else None))
        if self.handles[-1].joins.values == deque([None]):
            self.handles[-1].joins.values.clear()
        return self.handles[-1]

    def place(self, node="n0", gpus=(), host="far"):
        """How an actor joins that is fine."""
        mark = self.root / f"mark-{next(self.numbers)}"
        mark.touch()
        return Placed(("joined", host, "cpu"), str(mark), node, gpus)

    def wait(self, refs, **options):
        ready = [ref for ref in refs if ref.values]
        return ready[:1], refs

    def get(self, value):
        value = value.values.popleft() if isinstance(value, Ref) else value
        if isinstance(value, Exception):
            raise value
        return value

    def kill(self, handle):
        self.killed.append(handle)

    def nodes(self):
        return [{"NodeID": node, "Alive": True} for node in self.alive]


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """A clock that only tests and waiting move."""
    now = SimpleNamespace(seconds=1000.0)

    def sleep(seconds):
        now.seconds += seconds

    pretended = SimpleNamespace(monotonic=lambda: now.seconds, sleep=sleep)
    monkeypatch.setattr(actors, "time", pretended)
    monkeypatch.setattr(actor, "time", pretended)
    monkeypatch.setattr(slots, "time", pretended)
    return now


@pytest.fixture
def cluster(tmp_path):
    return Cluster(tmp_path)


def pool_of(cluster, *places):
    """A pool with an actor for each place, all of which have joined or refused."""
    cluster.places.extend(places)
    pool = ActorPool(cluster, cluster.start, cluster.root, len(places), Patience(60))
    return pool, [event for _ in places for event in pool.events()]


def test_workers_join_and_perform_one_task_at_a_time(cluster):
    pool, joined = pool_of(cluster, cluster.place())
    assert joined == [events.WorkerJoined("ray#0", "far", "cpu")]
    assert list(cluster.root.iterdir()) == []
    pool.give("ray#0", TASK)
    assert pool.idle() is None
    messages = [("progress", 1, 2, {}), ("alive",), ("done", 0.5)]
    cluster.handles[0].messages.values.extend(messages)
    happened = [event for _ in messages for event in pool.events()]
    assert happened == [events.Progress(TASK, 1, 2, {}), events.Done(TASK, 0.5)]
    assert pool.idle() == "ray#0"


@pytest.mark.parametrize(
    ("problem", "node_lives", "by_machine"),
    [
        (ActorDiedError("killed"), True, False),
        (ActorDiedError("its node has died"), False, True),
        # at this moment Ray still believes that the node lives
        (ActorUnavailableError("socket closed"), True, True),
    ],
)
def test_a_lost_task_is_to_blame_only_if_its_node_lives(cluster, problem, node_lives, by_machine):
    pool, _ = pool_of(cluster, cluster.place("n1"))
    pool.give("ray#0", TASK)
    cluster.handles[0].messages.values.append(problem)
    if not node_lives:
        cluster.alive.discard("n1")
    gone, lost = pool.events()
    reason = "its node was lost" if by_machine else "ActorDiedError"
    assert gone == events.WorkerLost("ray#0", reason)
    assert lost.reason == f"worker ray#0: {reason}"
    assert (lost.task, lost.by_machine) == (TASK, by_machine)
    assert cluster.killed == [cluster.handles[0]]
    assert pool.idle() is None


def test_a_lost_worker_comes_back_when_ray_has_a_place(cluster):
    pool, _ = pool_of(cluster, cluster.place("n1"))
    pool.give("ray#0", TASK)
    cluster.handles[0].messages.values.append(ActorUnavailableError())
    pool.events()
    assert pool.events() == []
    cluster.handles[1].joins.values.append(cluster.place("n2"))
    assert pool.events() == [events.WorkerJoined("ray#0", "far", "cpu")]
    assert pool.idle() == "ray#0"


def test_a_worker_that_refuses_when_it_joins_is_named_and_not_used(cluster):
    refusal = Placed(("refused", "far has torch 1\nhint: install"), "", "n1", ())
    pool, happened = pool_of(cluster, cluster.place("n0"), refusal)
    assert happened[1] == events.WorkerLost("ray#1", "far has torch 1", refused=True)
    pool.give("ray#0", TASK)
    assert pool.idle() is None
    # it keeps its place: no other actor may be placed there
    assert cluster.killed == []
    assert len(cluster.handles) == 2


def test_a_worker_that_refuses_a_task_bars_its_node_and_costs_the_task_nothing(cluster):
    pool, _ = pool_of(cluster, cluster.place("n1"), cluster.place("n1"), cluster.place("n0"))
    pool.give("ray#0", TASK)
    cluster.handles[0].messages.values.append(("refused", "another key\nhint: data"))
    refused, lost = pool.events()
    assert refused == events.WorkerLost("ray#0", "another key", refused=True)
    assert lost.by_machine
    assert lost.reason == "ray#0 refuses the task: another key\nhint: data"
    assert pool.idle() == "ray#2"


def test_an_actor_on_a_barred_node_is_not_used_later(cluster):
    pool, _ = pool_of(cluster, cluster.place("n1"), cluster.place("n0"), cluster.place("n0"))
    pool.give("ray#0", TASK)
    cluster.handles[0].messages.values.append(("refused", "another key"))
    pool.events()
    pool.give("ray#1", OTHER)
    cluster.handles[1].messages.values.append(ActorDiedError())
    pool.events()
    assert pool.events() == []
    cluster.handles[3].joins.values.append(cluster.place("n1"))
    assert pool.events() == []
    assert pool.idle() == "ray#2"
    assert not pool.actors["ray#1"].is_usable


def test_a_run_ends_with_the_reason_if_every_worker_refuses(cluster):
    refusals = [Placed(("refused", "far has torch 1"), "", node, ()) for node in ("n0", "n1")]
    with pytest.raises(InvspecError, match="no worker can work for this run: far has torch 1"):
        pool_of(cluster, *refusals)


def test_a_store_that_is_another_folder_there_is_refused(cluster, tmp_path):
    elsewhere = Placed(("joined", "far", "cpu"), str(tmp_path / "mark"), "n0", ())
    _, (refused,) = pool_of(cluster, elsewhere)
    assert refused.reason == f"{tmp_path} on far is another folder"


def test_an_actor_that_cannot_start_is_named_and_asked_for_later(cluster, clock):
    problem = InitFailed("The actor died ...\nModuleNotFoundError: No module named 'invspec'\n")
    pool, happened = pool_of(cluster, cluster.place("n0"), problem)
    reason = "ModuleNotFoundError: No module named 'invspec'"
    assert happened[1] == events.WorkerLost("ray#1", reason, refused=True)
    pool.events()
    assert len(cluster.handles) == 2
    clock.seconds += actors.LATER
    pool.events()
    assert len(cluster.handles) == 3
    # the same reason is told once
    cluster.handles[2].joins.values.append(problem)
    assert pool.events() == []


def test_a_cluster_where_no_actor_can_start_ends_the_run(cluster):
    pool, _ = pool_of(cluster, InitFailed("x\nImportError: torch"))
    with pytest.raises(InvspecError, match="no worker can work for this run: ImportError: torch"):
        pool.events()


def test_a_run_without_any_worker_gives_up(cluster, clock):
    pool, _ = pool_of(cluster, None)
    assert pool.events() == []
    clock.seconds += actors.NO_START + 1
    with pytest.raises(InvspecError, match="no worker on the cluster for 120 s"):
        pool.events()


def test_after_long_work_a_run_waits_for_lost_nodes_to_come_back(cluster, clock):
    pool, _ = pool_of(cluster, cluster.place())
    pool.give("ray#0", TASK)
    for _ in range(100):
        clock.seconds += actors.NO_RETURN
        cluster.handles[0].messages.values.append(("progress", 1, 2, {}))
        assert pool.events()
    cluster.handles[0].messages.values.append(ActorUnavailableError())
    assert pool.events()
    clock.seconds += actors.NO_START + 1
    assert pool.events() == []
    clock.seconds += actors.NO_RETURN
    with pytest.raises(InvspecError, match="no worker on the cluster for 600 s"):
        pool.events()


def test_a_silent_worker_is_replaced_and_its_task_blamed(cluster):
    pool, _ = pool_of(cluster, cluster.place())
    pool.give("ray#0", TASK)
    pool.patience._silence["ray#0"] = math.inf
    _, lost = pool.events()
    assert lost == events.Lost(TASK, "worker ray#0: was silent for 60 s", by_machine=False)


def test_a_device_that_failed_ends_its_actor(cluster):
    pool, _ = pool_of(cluster, cluster.place())
    pool.give("ray#0", TASK)
    cluster.handles[0].messages.values.append(("faulty", "CUDA error"))
    assert [type(event) for event in pool.events()] == [events.WorkerLost, events.Lost]
    assert cluster.killed == [cluster.handles[0]]
    pool.events()
    assert len(cluster.handles) == 2


# ─ a GPU that several share ─


def test_a_task_without_memory_is_tried_again_while_it_has_its_gpu_alone(cluster):
    two = [cluster.place("n0", (0,)), cluster.place("n0", (0,))]
    pool, _ = pool_of(cluster, *two, cluster.place("n0", (1,)))
    pool.give("ray#0", TASK)
    pool.give("ray#1", OTHER)
    cluster.handles[0].messages.values.append(("no_memory", "full"))
    assert pool.events() == []
    cluster.handles[1].messages.values.append(("done", 1.0))
    assert pool.events() == [events.Done(OTHER, 1.0)]
    # the other GPU has room as before
    assert pool.idle() == "ray#2"
    (ended,) = pool.events()
    assert ended.reason == "made room for a task of ray#0, which ran out of memory"
    assert cluster.killed == [cluster.handles[1]]
    assert len(cluster.handles[0].given) == 2
    # it does not come back before the task is done
    assert pool.events() == []
    assert len(cluster.handles) == 3
    cluster.handles[0].messages.values.append(("done", 2.0))
    assert pool.events() == [events.Done(TASK, 2.0)]
    pool.events()
    assert len(cluster.handles) == 4


def test_a_task_that_lacks_memory_alone_fails(cluster):
    pool, _ = pool_of(cluster, cluster.place("n0", (0,)), cluster.place("n1", (0,)))
    pool.give("ray#0", TASK)
    cluster.handles[0].messages.values.append(("no_memory", "full"))
    assert pool.events() == [events.Failed(TASK, "full")]


def test_a_second_task_without_memory_starts_again_elsewhere_or_later(cluster):
    pool, _ = pool_of(cluster, cluster.place("n0", (0,)), cluster.place("n0", (0,)))
    pool.give("ray#0", TASK)
    pool.give("ray#1", OTHER)
    cluster.handles[0].messages.values.append(("no_memory", "full"))
    pool.events()
    cluster.handles[1].messages.values.append(("no_memory", "full"))
    _, lost = pool.events()
    assert (lost.task, lost.by_machine) == (OTHER, True)


def test_closing_ends_every_actor(cluster):
    pool, _ = pool_of(cluster, cluster.place(), None)
    pool.close()
    assert cluster.killed == cluster.handles
