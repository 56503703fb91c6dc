"""Pilots come, work, refuse and are lost; their jobs are requeued or replaced."""

from __future__ import annotations

import struct
import time
from itertools import count
from typing import ClassVar

import pytest
from workbench import perturb, toys

from invspec.errors import InvspecError
from invspec.execution import events, wire
from invspec.execution.disk import Unwritable
from invspec.execution.pools import jobs, line, pilots
from invspec.execution.pools.home import Home
from invspec.execution.pools.jobs import FRUITLESS, State
from invspec.execution.pools.pilots import PilotPool
from invspec.execution.pulse import Patience

TASK = perturb(toys.Shift())


class Queue:
    """A batch system: jobs live until a test ends them. It may say more of some of them."""

    def __init__(self):
        self.numbers, self.living, self.cancelled = count(1), set(), []
        self.said: dict[str, State] = {}
        self.away, self.full, self.kept = False, False, None

    def submit(self, number):
        if self.full:
            raise InvspecError("no more jobs")
        names = [str(next(self.numbers)) for _ in range(number)]
        self.living |= set(names)
        return names

    def states(self):
        return None if self.away else dict.fromkeys(self.living, State.RUNNING) | self.said

    def cancel(self, job):
        self.cancelled.append(job)
        self.living.discard(job)

    def last_words(self, job):
        return f"last words of {job}"

    def death(self, job):
        return f"{job} died"

    def close(self, keep):
        self.kept = keep


class Pilot:
    """The other end of a line, which a test speaks for."""

    opened: ClassVar[list[line.Line]] = []

    def __init__(self, pool, job, refusal="", mark=None):
        folder = pool.root / "partial"
        folder.mkdir(exist_ok=True)
        self.mark = folder / f"joined-{job}"
        if mark is None:
            self.mark.touch()
        self.line = line.connect((pool.home.host, pool.home.port), pool.home.key)
        self.opened.append(self.line)
        self.line.send(("pilot", job, self.mark.name, refusal))

    def join(self):
        self.line.send(("joined", "node7", "cpu"))
        return self


@pytest.fixture
def queue():
    return Queue()


@pytest.fixture
def pool(queue, tmp_path, monkeypatch):
    """A pool of two jobs that looks at its jobs all the time."""
    monkeypatch.setattr(jobs, "LOOK", 0.0)
    monkeypatch.setattr(jobs, "SOON", 0.0)
    monkeypatch.setattr(pilots, "PAUSE", 0.1)
    pool = PilotPool(Home("127.0.0.1"), queue, tmp_path, 2, Patience(60))
    yield pool
    pool.close()
    while Pilot.opened:
        Pilot.opened.pop().close()


def next_events(pool):
    """The next events of a pool, for which it waits."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        if happened := pool.events():
            return happened
    raise AssertionError("nothing happens")


def run_on(pool):
    """Wait for what a pool does by itself."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        pool.events()


def joined(pool, job):
    pilot = Pilot(pool, job).join()
    assert next_events(pool) == [events.WorkerJoined(f"slurm#{job}", "node7", "cpu")]
    return pilot


def lost(task, reason, name="slurm#1"):
    return [events.WorkerLost(name, reason), events.Lost(task, reason, by_machine=True)]


def is_hung_up(pilot):
    with pytest.raises((EOFError, OSError)):
        pilot.line.receive()
    return True


def test_a_pilot_joins_and_performs_a_task(pool):
    assert pool.idle() is None
    pilot = joined(pool, "1")
    assert not pilot.mark.exists()
    assert pool.idle() == "slurm#1"
    pool.give("slurm#1", TASK)
    assert pool.idle() is None
    assert pilot.line.receive() == ("task", wire.to_json(TASK))
    pilot.line.send(("progress", 5, 20, {}))
    assert next_events(pool) == [events.Progress(TASK, 5, 20, {})]
    pilot.line.send(("alive",))
    pilot.line.send(("done", 1.5))
    assert next_events(pool) == [events.Done(TASK, 1.5)]
    assert pool.idle() == "slurm#1"


@pytest.mark.parametrize("state", [State.PENDING, State.STOPPED])
def test_a_job_that_was_interrupted_loses_its_task_by_no_fault_of_the_task(pool, queue, state):
    pilot = joined(pool, "1")
    pool.give("slurm#1", TASK)
    queue.said["1"] = state
    pilot.line.close()
    assert next_events(pool) == lost(TASK, state.value)
    assert pool.idle() is None


def test_a_job_that_the_batch_system_has_forgotten_was_ended(pool, queue):
    pilot = joined(pool, "1")
    pool.give("slurm#1", TASK)
    queue.living.discard("1")
    pilot.line.close()
    assert next_events(pool) == lost(TASK, "its job was ended")


def test_a_process_that_crashed_is_the_fault_of_its_task(pool, queue):
    pilot = joined(pool, "1")
    pool.give("slurm#1", TASK)
    queue.said["1"] = State.CRASHED
    pilot.line.close()
    reason = "its process crashed: 1 died"
    assert next_events(pool) == [events.WorkerLost("slurm#1", reason), events.Lost(TASK, reason)]


def test_a_task_waits_until_the_batch_system_says_how_the_job_ended(pool, queue):
    pilot = joined(pool, "1")
    pool.give("slurm#1", TASK)
    pilot.line.close()
    for _ in range(3):
        assert pool.events() == []
    queue.said["1"] = State.CRASHED
    assert next_events(pool)[0].reason == "its process crashed: 1 died"


@pytest.mark.parametrize("away", [True, False])
def test_a_job_that_does_not_end_in_time_is_lost_by_no_fault_of_its_task(
    pool, queue, monkeypatch, away
):
    monkeypatch.setattr(pilots, "ENDS", 0.3)
    pilot = joined(pool, "1")
    pool.give("slurm#1", TASK)
    queue.away = away
    pilot.line.close()
    assert next_events(pool) == lost(TASK, "its job ended or was interrupted")


def test_a_job_that_was_started_again_before_its_state_was_known_has_lost_its_task(pool):
    pilot = joined(pool, "1")
    pool.give("slurm#1", TASK)
    pilot.line.close()
    assert pool.events() == []
    Pilot(pool, "1").join()
    assert next_events(pool) == lost(TASK, "its job was started again")
    assert next_events(pool) == [events.WorkerJoined("slurm#1", "node7", "cpu")]


def test_a_task_given_to_a_pilot_that_has_just_gone_is_lost_later(pool, queue):
    pilot = joined(pool, "1")
    pilot.line.close()
    pool.give("slurm#1", TASK)
    queue.said["1"] = State.PENDING
    assert next_events(pool) == lost(TASK, State.PENDING.value)


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"\x80garbage", "sent "),
        (b"{}", "sent no message"),
        (b'["nonsense"]', "unknown message"),
        (b'["done", "soon"]', "unknown message"),
        (b'["progress", 1]', "unknown message"),
    ],
)
def test_a_pilot_that_sends_nonsense_is_lost_and_its_job_ends(pool, queue, sent, reason):
    pilot = joined(pool, "1")
    pool.give("slurm#1", TASK)
    pilot.line.receive()
    pilot.line._connection.send_bytes(sent)
    gone, task = next_events(pool)
    assert gone.reason.startswith(reason)
    assert task == events.Lost(TASK, gone.reason, by_machine=True)
    assert queue.cancelled == ["1"]
    assert is_hung_up(pilot)


def test_a_message_of_an_idle_pilot_about_a_task_ends_it(pool, queue):
    joined(pool, "1").line.send(("done", 1.0))
    (gone,) = next_events(pool)
    assert gone.worker == "slurm#1"
    assert queue.cancelled == ["1"]


def test_an_oversized_message_loses_the_pilot_only(pool, queue):
    pilot, other = joined(pool, "1"), joined(pool, "2")
    pool.give("slurm#1", TASK)
    pilot.line.send(("failed", "x" * line.PILOT_LIMIT))
    reason = f"sent a message of more than {line.PILOT_LIMIT} bytes"
    assert next_events(pool) == lost(TASK, reason)
    assert queue.cancelled == ["1"]
    assert pool.idle() == "slurm#2"
    pool.give("slurm#2", TASK)
    assert other.line.receive()[0] == "task"


def test_a_pilot_that_stops_in_the_middle_of_a_message_is_given_up(pool, queue):
    pilot = joined(pool, "1")
    pool.give("slurm#1", TASK)
    line._set_timeouts(pool.pilots["slurm#1"].line.fileno(), receive=1)
    pilot.line._connection._send(struct.pack("!i", 100) + b"half")
    assert next_events(pool) == lost(TASK, "sent half a message")
    assert queue.cancelled == ["1"]


def test_a_silent_pilot_is_given_up_and_its_job_ends(pool, queue):
    pool.patience = Patience(0.2)
    joined(pool, "1")
    pool.give("slurm#1", TASK)
    assert next_events(pool) == lost(TASK, "was silent for 0 s")
    assert queue.cancelled == ["1"]


def test_a_pilot_that_calls_and_never_joins_is_given_up(pool, queue, monkeypatch):
    monkeypatch.setattr("invspec.execution.pulse.STARTING", 0.0)
    pool.patience = Patience(0.2)
    Pilot(pool, "1")
    end = time.monotonic() + 10
    while not queue.cancelled and time.monotonic() < end:
        assert pool.events() == []
    assert queue.cancelled == ["1"]


def test_a_defect_is_a_failure_and_the_pilot_stays(pool):
    pilot = joined(pool, "1")
    pool.give("slurm#1", TASK)
    pilot.line.send(("failed", "toy trouble"))
    assert next_events(pool) == [events.Failed(TASK, "toy trouble")]
    assert pool.idle() == "slurm#1"


def test_a_full_store_ends_the_run(pool):
    pilot = joined(pool, "1")
    pool.give("slurm#1", TASK)
    pilot.line.send(("unwritable", "disk full"))
    with pytest.raises(Unwritable, match="disk full"):
        next_events(pool)


# ─ refusals ─


def test_a_refusal_is_said_once_and_its_pilots_are_not_used(pool, queue):
    first, second = Pilot(pool, "1", "torch 1.0\nhint: update"), Pilot(pool, "2", "torch 1.0")
    assert next_events(pool) == [events.WorkerLost("slurm#1", "torch 1.0", refused=True)]
    assert pool.idle() is None
    assert is_hung_up(first)
    queue.living.clear()
    with pytest.raises(InvspecError, match=r"no pilot can work for this run: torch 1\.0"):
        next_events(pool)
    assert is_hung_up(second)


def test_a_refused_task_goes_elsewhere_and_the_job_does_not_come_back(pool, queue):
    pilot = joined(pool, "1")
    pool.give("slurm#1", TASK)
    pilot.line.send(("refused", "other keys"))
    gone, task = next_events(pool)
    assert gone.reason == task.reason == "slurm#1 refuses the task: other keys"
    assert task.by_machine
    again = Pilot(pool, "1").join()
    assert pool.events() == []
    assert is_hung_up(again)
    queue.living.discard("1")
    pool.events()
    assert queue.living == {"2"}


def test_a_pilot_with_another_store_is_refused(pool, monkeypatch):
    monkeypatch.setattr(pilots, "appears", lambda path: path.exists())
    Pilot(pool, "1", mark="none").join()
    (gone,) = next_events(pool)
    assert gone.reason == f"{pool.root} on node7 is another folder"
    assert gone.refused


def test_a_pilot_of_another_run_is_hung_up(pool):
    stranger = Pilot(pool, "77").join()
    pool.events()
    assert is_hung_up(stranger)
    assert pool.idle() is None


def test_a_first_message_that_is_no_greeting_is_hung_up(pool):
    stranger = line.connect((pool.home.host, pool.home.port), pool.home.key)
    stranger.send(("joined", "node7", "cpu"))
    pool.events()
    with pytest.raises(EOFError):
        stranger.receive()


# ─ jobs ─


def test_a_requeued_job_joins_again_and_is_not_replaced(pool, queue):
    joined(pool, "1").line.close()
    assert next_events(pool) == [events.WorkerLost("slurm#1", "its job ended or was interrupted")]
    joined(pool, "1")
    assert queue.living == {"1", "2"}


def test_a_job_that_starts_again_before_its_end_is_noticed_takes_its_place(pool):
    old = joined(pool, "1")
    pool.give("slurm#1", TASK)
    Pilot(pool, "1").join()
    happened = next_events(pool)
    assert happened == lost(TASK, "its job was started again")
    assert old.line.receive()[0] == "task"
    assert is_hung_up(old)
    assert next_events(pool) == [events.WorkerJoined("slurm#1", "node7", "cpu")]


def test_a_job_that_ends_after_it_joined_is_replaced(pool, queue):
    pilot = joined(pool, "1")
    queue.living.discard("1")
    pilot.line.close()
    next_events(pool)
    pool.events()
    assert queue.living == {"2", "3"}
    joined(pool, "3")


def test_jobs_that_end_before_they_join_are_not_replaced_and_the_last_one_is_quoted(pool, queue):
    queue.living.clear()
    with pytest.raises(InvspecError, match=r"no pilot is left: .*: last words of 2") as caught:
        next_events(pool)
    assert "\n" not in str(caught.value)


def test_a_batch_system_that_does_not_answer_loses_no_jobs(pool, queue):
    queue.living.clear()
    queue.away = True
    for _ in range(3):
        assert pool.events() == []


def test_a_replacement_that_is_refused_is_tried_again_while_others_work(pool, queue):
    pilot, _ = joined(pool, "1"), joined(pool, "2")
    queue.full = True
    queue.living.discard("1")
    pilot.line.close()
    next_events(pool)
    pool.events()
    assert queue.living == {"2"}
    queue.full = False
    pool.events()
    assert queue.living == {"2", "3"}


def test_a_replacement_that_is_refused_ends_the_run_if_nothing_else_is_left(pool, queue):
    pilot = joined(pool, "1")
    queue.full = True
    queue.living.clear()
    pilot.line.close()
    with pytest.raises(InvspecError, match="no more jobs"):
        run_on(pool)


def test_jobs_that_only_ever_die_are_not_replaced_for_ever(pool, queue):
    queue.living.discard("2")
    for job in ("1", *map(str, range(3, 3 + FRUITLESS))):
        pilot = joined(pool, job)
        queue.living.discard(job)
        pilot.line.close()
        next_events(pool)
        pool.events() if queue.living else None
    with pytest.raises(InvspecError, match="no pilot is left"):
        pool.events()
    assert next(queue.numbers) == 3 + FRUITLESS


def test_jobs_that_serve_for_a_while_are_replaced_as_often_as_they_end(pool, queue, monkeypatch):
    monkeypatch.setattr(jobs, "BRIEF", 0.0)
    queue.living.discard("2")
    for job in ("1", *map(str, range(3, 3 + 2 * FRUITLESS))):
        pilot = joined(pool, job)
        queue.living.discard(job)
        pilot.line.close()
        next_events(pool)
        pool.events()
    assert len(queue.living) == 1


def test_the_end_hangs_up_and_keeps_what_jobs_printed_only_after_trouble(pool, queue):
    pilot = joined(pool, "1")
    pool.close()
    assert is_hung_up(pilot)
    assert queue.kept is False
    pool.roster.ended.append("2")
    pool.close()
    assert queue.kept is True
