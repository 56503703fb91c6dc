"""A pool of actors on a cluster, seen from the run: they come, work, refuse and are lost."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from invspec.errors import InvspecError
from invspec.execution.events import Lost, PoolEvent, WorkerLost
from invspec.execution.messages import ENDING, LAST, Message, events_of
from invspec.execution.pools.actor import Actor
from invspec.execution.pools.sharing import Sharing
from invspec.execution.pools.slots import PAUSE, Placed, appears
from invspec.execution.pulse import Patience
from invspec.tasks import Task

# seconds until an actor is asked for again: if it was lost before it joined, and if it cannot start
SOON, LATER = 1.0, 30.0
# seconds without any worker after which a run gives up: if it never had one, and if all were lost
NO_START, NO_RETURN = 120.0, 600.0


class ActorPool:
    """A Pool of actors. One that is lost is asked for again; Ray places it when it can.

    ray is the module, and start asks it for the actor of a slot.
    """

    def __init__(
        self, ray: Any, start: Callable[[], Any], root: Path, slots: int, patience: Patience
    ) -> None:
        self.ray, self.start, self.root, self.patience = ray, start, root, patience
        self.actors = {name: Actor(name) for name in (f"ray#{i}" for i in range(slots))}
        self.sharing = Sharing({})
        # why nodes were barred, by node
        self.barred: dict[str, str] = {}
        self._announced: set[str] = set()
        self._limit, self._served = NO_START, time.monotonic()
        self._ask()

    def idle(self) -> str | None:
        """The name of a worker that may get a task."""
        free = (actor for actor in self.actors.values() if actor.is_usable and actor.task is None)
        return next((actor.name for actor in free if self.sharing.is_open(actor.name)), None)

    def spare(self) -> str | None:
        """All workers of a cluster are alike."""
        return None

    def give(self, worker: str, task: Task) -> None:
        """Send a task to an idle worker."""
        self.actors[worker].perform(task)
        self.patience.watch(worker)

    def events(self) -> list[PoolEvent]:
        """Wait for messages of workers that join or work, for a second at most.

        Raises: InvspecError if there is no worker, and none is to be expected; Unwritable.
        """
        self._ask()
        events = [event for actor in self._next_alone() for event in self._give_alone(actor)]
        pending = {id(actor.ref): actor for actor in self.actors.values() if actor.ref is not None}
        if pending:
            refs = [actor.ref for actor in pending.values()]
            ready, _ = self.ray.wait(refs, num_returns=1, timeout=PAUSE, fetch_local=False)
            events += [event for ref in ready for event in self._read(pending[id(ref)])]
        elif not events:
            time.sleep(PAUSE)
        for name in self.patience.exhausted():
            events += self._lose(self.actors[name], self.patience.reason)
        self._check(waited=not events)
        return events

    def close(self) -> None:
        """Stop all actors. The connection stays, for a further run of this process."""
        for actor in self.actors.values():
            with suppress(self.ray.exceptions.RayError):
                actor.end(self.ray)

    # ─ actors come and go ─

    def _ask(self) -> None:
        for actor in self.actors.values():
            actor.ask(self.start)

    def _join(self, actor: Actor) -> list[PoolEvent]:
        placed: Placed = self.ray.get(actor.ref)
        actor.ref, actor.node = None, placed.node
        if refusal := self._refusal(placed):
            return self._bar(actor, refusal)
        actor.joined, self._limit = True, NO_RETURN
        # without GPUs, or with several, it has its devices alone
        alone = len(placed.gpus) != 1
        self.sharing.place(actor.name, actor.name if alone else (placed.node, placed.gpus[0]))
        return events_of(tuple(placed.message), actor.name, None)

    def _refusal(self, placed: Placed) -> str:
        """Why an actor cannot work for this run, empty if it can."""
        if placed.message[0] != "joined":
            return str(placed.message[1])
        mark = Path(placed.mark)
        if not appears(mark):
            host = placed.message[1]
            return (
                f"{self.root} on {host} is another folder\nhint: the store must be a shared folder"
            )
        mark.unlink(missing_ok=True)
        return self.barred.get(placed.node, "")

    def _bar(self, actor: Actor, refusal: str) -> list[PoolEvent]:
        """Use no worker of an actor's node any more. The actor keeps its place, so none comes."""
        self.barred.setdefault(actor.node, refusal)
        for other in self.actors.values():
            if other.node == actor.node:
                other.refusal = refusal
        return self._announce(actor, refusal)

    def _announce(self, actor: Actor, refusal: str) -> list[PoolEvent]:
        """An event for a refusal, the first time."""
        is_new = refusal not in self._announced
        self._announced.add(refusal)
        return [WorkerLost(actor.name, refusal.splitlines()[0], refused=True)] if is_new else []

    # ─ messages and deaths ─

    def _read(self, actor: Actor) -> list[PoolEvent]:
        try:
            if not actor.joined:
                return self._join(actor)
            message: Message = tuple(self.ray.get(next(actor.ref)))
        except StopIteration:
            return self._lose(actor, "its messages ended")
        except self.ray.exceptions.RayError as problem:
            return self._bury(actor, problem)
        return self._receive(actor, message)

    def _receive(self, actor: Actor, message: Message) -> list[PoolEvent]:
        """A message about an actor's task as events."""
        self.patience.heard(actor.name)
        if message[0] == "no_memory" and (events := self._make_room(actor)) is not None:
            return events
        task = actor.task
        if message[0] in LAST:
            self._release(actor)
        if message[0] == "refused" and task is not None:
            refusal = str(message[1])
            reason = f"{actor.name} refuses the task: {refusal}"
            return [*self._bar(actor, refusal), Lost(task, reason, by_machine=True)]
        if message[0] in ENDING:
            actor.end(self.ray)
        return events_of(message, actor.name, task)

    def _release(self, actor: Actor) -> None:
        """Take the task from an actor. Those that made room for it may come back."""
        actor.task = actor.ref = None
        self.patience.forget(actor.name)
        self.sharing.release(actor.name)
        for other in self.actors.values():
            if other.made_room_for == actor.name:
                other.made_room_for, other.again = "", 0.0

    def _bury(self, actor: Actor, problem: Exception) -> list[PoolEvent]:
        """The events of an actor that died, as Ray says."""
        if getattr(problem, "actor_init_failed", False):
            actor.refusal = str(problem).strip().splitlines()[-1]
            actor.end(self.ray, LATER)
            return self._announce(actor, actor.refusal)
        # a process that dies on a node that lives is the task's fault; Ray notices the end of a
        # node later than the end of the connection to it
        unreachable = isinstance(problem, self.ray.exceptions.ActorUnavailableError)
        by_machine = unreachable or actor.node not in self._nodes()
        reason = "its node was lost" if by_machine else type(problem).__name__
        return self._lose(actor, reason, by_machine=by_machine)

    def _lose(self, actor: Actor, reason: str, *, by_machine: bool = False) -> list[PoolEvent]:
        """The events of a lost worker, for which another is asked."""
        task, joined = actor.task, actor.joined
        self._release(actor)
        actor.end(self.ray, 0.0 if joined else SOON)
        gone: list[PoolEvent] = [WorkerLost(actor.name, reason)] if joined else []
        if task is None:
            return gone
        return [*gone, Lost(task, f"worker {actor.name}: {reason}", by_machine)]

    def _nodes(self) -> set[str]:
        return {node["NodeID"] for node in self.ray.nodes() if node["Alive"]}

    def _check(self, waited: bool) -> None:
        """Raise InvspecError if there is no worker, and none is to be expected."""
        now = time.monotonic()
        if any(actor.is_usable for actor in self.actors.values()):
            self._served = now
        elif waited:
            refusals = [actor.refusal for actor in self.actors.values() if actor.refusal]
            if len(refusals) == len(self.actors):
                raise InvspecError(f"no worker can work for this run: {refusals[-1]}")
            if now - self._served > self._limit:
                hint = "has the cluster room for a worker? See `ray status`"
                raise InvspecError(f"no worker on the cluster for {self._limit:.0f} s", hint=hint)

    # ─ a device alone, where memory lacks ─

    def _make_room(self, actor: Actor) -> list[PoolEvent] | None:
        """Keep a task that ran out of memory, for another try. None if it had its GPU alone."""
        if not self.sharing.is_open(actor.name) and not self.sharing.is_alone(actor.name):
            # another task already waits for this GPU: this one starts again later
            return self._lose(actor, "ran out of memory beside others", by_machine=True)
        if not self.sharing.wait(actor.name):
            return None
        self.patience.forget(actor.name)
        actor.ref = None
        return []

    def _next_alone(self) -> list[Actor]:
        busy = [actor.name for actor in self.actors.values() if actor.task is not None]
        working = [name for name in busy if not self.sharing.waits(name)]
        return [self.actors[name] for name in self.sharing.next(working)]

    def _give_alone(self, actor: Actor) -> list[PoolEvent]:
        """Try a task again that ran out of memory, on a GPU that no other worker uses."""
        assert actor.task is not None, f"worker {actor.name} waits without a task"
        others = [self.actors[name] for name in self.sharing.others(actor.name)]
        ended = [other for other in others if other.joined]
        for other in ended:
            other.end(self.ray, math.inf)
            other.made_room_for = actor.name
        self.give(actor.name, actor.task)
        reason = f"made room for a task of {actor.name}, which ran out of memory"
        return [WorkerLost(other.name, reason) for other in ended]
