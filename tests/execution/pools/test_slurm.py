"""Runs in jobs, which are processes of this machine here. test_slurm_cluster.py runs Slurm."""

from __future__ import annotations

import json
import os
import signal
import stat
import sys
from pathlib import Path

import pytest
from local_jobs import LocalJobs
from runs import GOALS, outcome, run
from workbench import ROOT, TOYS, registered, toys, train

from invspec.errors import InvspecError, SpecError
from invspec.execution import events
from invspec.execution.execute import execute
from invspec.execution.pools import slurm
from invspec.execution.pools.slurm import SlurmExecutor, minutes, wants_gpu
from invspec.execution.store import Store

EPOCHS = 30


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90", 90),
        ("90:30", 91),
        ("2:00:00", 120),
        ("0:00:01", 1),
        ("1-0", 1440),
        ("1-2", 1560),
        ("1-2:30", 1590),
        ("7-00:00:01", 10081),
    ],
)
def test_times_are_read_as_slurm_reads_them(text, expected):
    assert minutes(text) == expected


@pytest.mark.parametrize("text", ["", "soon", "1:2:3:4", "-5", "1.5", "1-", "2h", "1 0"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(SpecError, match="no time") as caught:
        minutes(text)
    assert "HH:MM:SS" in caught.value.hint


@pytest.mark.parametrize("text", ["0", "0:00:00", "0-0"])
def test_no_time_at_all_is_refused(text):
    with pytest.raises(SpecError, match="no time at all"):
        minutes(text)


@pytest.mark.parametrize("gres", ["gpu:1", "gpu", "ssd,gpu:a100:2", "gres/gpu:1", "shard:4"])
def test_resources_that_are_gpus_are_known(gres):
    assert wants_gpu(gres)


@pytest.mark.parametrize("gres", ["", "ssd", "fpga:1,gpu_less:1"])
def test_other_resources_are_no_gpus(gres):
    assert not wants_gpu(gres)


def test_without_slurm_the_missing_command_is_named_and_nothing_is_left(tmp_path, monkeypatch):
    pytest.importorskip("submitit")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InvspecError, match="no command sbatch on this machine's PATH") as caught:
        SlurmExecutor().open(tmp_path, 3)
    assert "login node" in caught.value.hint
    assert not list(tmp_path.iterdir())


def test_without_the_package_submitit_the_message_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(InvspecError, match="needs the package submitit") as caught:
        SlurmExecutor().open(tmp_path, 3)
    assert caught.value.hint == "install invspec with its extra slurm"


# ─ whole runs ─


@pytest.fixture
def jobs(monkeypatch):
    """All sets of jobs that are made, which are processes of this machine."""
    pytest.importorskip("submitit")
    made = []

    def make(*arguments):
        made.append(LocalJobs(*arguments))
        return made[-1]

    monkeypatch.setattr(slurm, "SlurmJobs", make)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(TOYS)]))
    monkeypatch.delenv("INVSPEC_DATA", raising=False)
    with registered():
        yield made


def running(goals, root, workers=1):
    """The events of a run, as they come."""
    executor = SlurmExecutor(workers=workers, host="127.0.0.1")
    yield from execute(goals, Store(root), executor)


def processes(job):
    """A job's own process and its children."""
    children = Path(f"/proc/{job}/task/{job}/children").read_text().split()
    return [job, *children]


def files(root):
    """The bytes of all payloads of a store."""
    paths = [*root.rglob("*.safetensors"), *root.rglob("rows.json")]
    return {path.relative_to(root): path.read_bytes() for path in paths}


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs Linux's /proc")
def test_a_run_gives_the_bytes_of_a_local_one_and_hides_its_key(jobs, tmp_path):
    happened, seen = [], []
    for event in running(GOALS, tmp_path / "slurm"):
        happened.append(event)
        if isinstance(event, events.Started) and not seen:
            file = jobs[0].file
            key = json.loads(file.read_text())["key"].encode()
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
            assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
            seen += [process for job in jobs[0].jobs for process in processes(job)]
            for process in seen:
                for kind in ("cmdline", "environ"):
                    assert key not in Path(f"/proc/{process}/{kind}").read_bytes()
    assert len(seen) == 2
    assert set(outcome(happened).values()) == {"Done"}
    run(GOALS, tmp_path / "local")
    assert files(tmp_path / "slurm") == files(tmp_path / "local") != {}
    assert all(job.done() for job in jobs[0].jobs.values())
    assert not (tmp_path / "slurm" / "pilots").exists()


@pytest.mark.parametrize(
    ("sent", "reason", "names"),
    [
        # submitit requeues the job, as on preemption or when its time is over
        (signal.SIGUSR2, "its job was started again", 1),
        (signal.SIGKILL, "its job was ended", 2),
    ],
    ids=["requeued", "killed"],
)
def test_a_job_that_is_lost_in_a_training_continues_it(jobs, tmp_path, sent, reason, names):
    log = tmp_path / "log"
    slow = train(defence=toys.Recorded(epochs=EPOCHS, batch_size=8, lr=0.1, nap=0.1, log=str(log)))
    happened, is_hit = [], False
    for event in running([slow], tmp_path / "slurm"):
        happened.append(event)
        if isinstance(event, events.Progress) and event.done > 5 and not is_hit:
            is_hit = True
            os.kill(int(log.read_text().split()[-1]), sent)
    (retried,) = (event for event in happened if isinstance(event, events.Retried))
    assert retried.reason == reason
    assert outcome(happened) == {slow: "Done"}
    joined = {event.worker for event in happened if isinstance(event, events.WorkerJoined)}
    assert len(joined) == names
    pids = log.read_text().split()
    # the second process continued where the first one had stopped
    assert len(set(pids)) == 2
    assert pids.count(pids[-1]) < EPOCHS
    run([slow], tmp_path / "local")
    assert files(tmp_path / "slurm") == files(tmp_path / "local")


def test_a_run_that_is_closed_ends_its_jobs(jobs, tmp_path):
    slow = train(defence=toys.Plodding(epochs=2000, batch_size=8, lr=0.1, nap=0.1))
    happening = running([slow], tmp_path)
    while not isinstance(next(happening), events.Started):
        pass
    happening.close()
    assert all(job.done() for job in jobs[0].jobs.values())
    assert not jobs[0].folder.exists()
