"""Runs in jobs of a real Slurm give the bytes of a run on this machine, also when jobs are lost."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import threading
import time
from types import SimpleNamespace

import pytest
import slurm_cluster
from runs import GOALS, edited_once_surveyed, outcome, tasks_of
from workbench import (
    COMMAND,
    ROOT,
    TINY,
    TOYS,
    call,
    command,
    environment,
    perturb,
    registered,
    score,
    toys,
    train,
    written,
)

from invspec.errors import InvspecError
from invspec.execution import events
from invspec.execution.execute import execute
from invspec.execution.pools.local import LocalExecutor
from invspec.execution.pools.slurm import SlurmExecutor
from invspec.execution.store import Store
from invspec.registry import cards, methods

pytestmark = pytest.mark.slow

PAYLOADS = ("model.safetensors", "examples.safetensors", "tensors.safetensors", "rows.json")
EPOCHS = 60


@pytest.fixture(scope="module")
def machines():
    """A cluster of two nodes of one CPU, for this process and its children."""
    pytest.importorskip("submitit")
    if reason := slurm_cluster.lacking():
        pytest.skip(reason)
    with pytest.MonkeyPatch.context() as patch, slurm_cluster.cluster() as configuration:
        patch.setenv("SLURM_CONF", str(configuration))
        patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(TOYS)]))
        patch.delenv("INVSPEC_DATA", raising=False)
        yield configuration


@pytest.fixture
def slurm(machines):
    with registered():
        yield machines


def executor(**options):
    return SlurmExecutor(**{"workers": 2, "minutes": 10, "host": "127.0.0.1", **options})


def payloads(root):
    """The bytes of every payload of a store, by its path."""
    paths = (path for path in sorted(root.rglob("*")) if path.name in PAYLOADS)
    return {path.relative_to(root): path.read_bytes() for path in paths}


def local(goals, root):
    """The payloads of a run on this machine."""
    for _ in execute(goals, Store(root), LocalExecutor()):
        pass
    return payloads(root)


def ask(*words):
    """The output of a command of Slurm."""
    return subprocess.run(words, check=True, capture_output=True, text=True, timeout=60).stdout


def queue():
    return ask("squeue", "--noheader", "--format=%i %T").splitlines()


def await_empty_queue():
    end = time.monotonic() + 60
    while left := queue():
        assert time.monotonic() < end, f"jobs are left: {left}"
        time.sleep(0.2)


# ─ whole runs ─


def test_a_run_gives_the_bytes_of_a_local_one_and_leaves_no_jobs(slurm, tmp_path):
    happened = list(execute(GOALS, Store(tmp_path / "slurm"), executor()))
    joined = {event.worker for event in happened if isinstance(event, events.WorkerJoined)}
    started = {event.worker for event in happened if isinstance(event, events.Started)}
    assert started == joined
    assert len(joined) == 2
    assert len(tasks_of(events.Done, happened)) == 8
    await_empty_queue()
    assert payloads(tmp_path / "slurm") == local(GOALS, tmp_path / "local") != {}
    # neither pickles and keys nor the marks of pilots
    assert not (tmp_path / "slurm" / "pilots").exists()
    assert not list((tmp_path / "slurm" / "partial").glob("*"))


def preempt(job):
    """Have a job of a partition with priority take the node of a job."""
    node = ask("squeue", "--noheader", "--format=%N", f"--jobs={job}").strip()
    ask("sbatch", "--partition=urgent", f"--nodelist={node}", "--output=/dev/null", "--wrap=true")


INTERRUPTIONS = {
    "requeued": (lambda job: ask("scontrol", "requeue", job), "will run again"),
    "preempted": (preempt, "will run again"),
    # what Slurm does shortly before the time of a job is over
    "out of time": (lambda job: ask("scancel", "--signal=USR2", job), "will run again"),
    "cancelled": (lambda job: ask("scancel", job), "was ended"),
}


def slow_training(log):
    """A training of some seconds, which writes its process into a file after each epoch."""
    return train(defence=toys.Recorded(epochs=EPOCHS, batch_size=8, lr=0.1, nap=0.1, log=str(log)))


def run_and_interrupt(goals, slow, root, interrupt, **options):
    """The events of a run; once it makes progress, the job that performs slow is interrupted."""
    happened, worker = [], ""
    for event in execute(goals, Store(root), executor(**options)):
        happened.append(event)
        if isinstance(event, events.Started) and event.task == slow and not worker:
            worker = event.worker
        if (
            isinstance(event, events.Progress)
            and event.done > 5
            and slow == event.task
            and interrupt
        ):
            interrupt(worker.removeprefix("slurm#"))
            interrupt = None
    return happened


def retry_of(happened, task):
    """The reason of the only retry, which is of a task."""
    (retried,) = (event for event in happened if isinstance(event, events.Retried))
    assert retried.task == task
    return retried.reason


def was_continued(log):
    """Whether a second process continued a training where the first one had stopped."""
    processes = log.read_text().split()
    return len(set(processes)) == 2 and processes.count(processes[-1]) < EPOCHS


def workers_joined(happened):
    return [event.worker for event in happened if isinstance(event, events.WorkerJoined)]


@pytest.mark.parametrize("interruption", INTERRUPTIONS)
def test_a_job_that_is_lost_in_a_training_costs_a_retry_elsewhere(slurm, tmp_path, interruption):
    interrupt, reason = INTERRUPTIONS[interruption]
    slow = slow_training(tmp_path / "log")
    goals = [score(perturb(toys.Shift(), slow)), *GOALS]
    happened = run_and_interrupt(goals, slow, tmp_path / "slurm", interrupt)
    assert reason in retry_of(happened, slow)
    assert set(outcome(happened).values()) == {"Done"}
    assert was_continued(tmp_path / "log")
    await_empty_queue()
    assert payloads(tmp_path / "slurm") == local(goals, tmp_path / "local")


def requeue_without_delay(job):
    """Requeue a job. Slurm itself lets it wait for two minutes."""

    def hurry():
        end = time.monotonic() + 60
        while f"{job} PENDING" not in queue() and time.monotonic() < end:
            time.sleep(0.2)
        ask("scontrol", "update", f"JobId={job}", "StartTime=now")

    ask("scontrol", "requeue", job)
    threading.Thread(target=hurry).start()


def test_a_requeued_job_joins_again_and_continues(slurm, tmp_path):
    slow = slow_training(tmp_path / "log")
    happened = run_and_interrupt([slow], slow, tmp_path / "a", requeue_without_delay, workers=1)
    retry_of(happened, slow)
    before, after = workers_joined(happened)
    assert before == after
    assert was_continued(tmp_path / "log")
    assert payloads(tmp_path / "a") == local([slow], tmp_path / "b")


def test_a_cancelled_job_is_replaced_by_another_which_continues(slurm, tmp_path):
    slow = slow_training(tmp_path / "log")
    cancel, _ = INTERRUPTIONS["cancelled"]
    happened = run_and_interrupt([slow], slow, tmp_path / "a", cancel, workers=1)
    retry_of(happened, slow)
    before, after = workers_joined(happened)
    assert before != after
    assert was_continued(tmp_path / "log")
    assert payloads(tmp_path / "a") == local([slow], tmp_path / "b")


def test_a_task_that_kills_its_process_has_two_tries_and_others_are_done(slurm, tmp_path):
    dies = perturb(toys.Dies())
    happened = list(execute([dies, train(seed=1)], Store(tmp_path), executor()))
    assert tasks_of(events.Retried, happened) == [dies]
    assert outcome(happened) == {train(): "Done", train(seed=1): "Done", dies: "Failed"}
    (failed,) = (event for event in happened if isinstance(event, events.Failed))
    assert "its process crashed: " in failed.message
    assert "in each of 2 attempts" in failed.message


# ─ what Slurm refuses ─


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"partition": "nowhere"}, "invalid partition specified: nowhere"),
        ({"gres": "gpu:1"}, "Invalid generic resource"),
    ],
)
def test_what_slurm_refuses_is_said_in_its_words(slurm, tmp_path, options, words):
    with pytest.raises(InvspecError, match=f"Slurm takes no jobs: {words}") as caught:
        list(execute(GOALS, Store(tmp_path), executor(**options)))
    assert "--partition" in caught.value.hint
    assert not (tmp_path / "pilots").exists()


def test_pilots_that_do_not_find_the_run_end_it_with_their_words(slurm, tmp_path, monkeypatch):
    def facts(home):
        return {"host": "127.0.0.1", "port": home.port, "key": "00" * 32}

    monkeypatch.setattr("invspec.execution.pools.home.Home.facts", facts)
    monkeypatch.setattr("invspec.execution.pools.jobs.LOOK", 2.0)
    with pytest.raises(InvspecError, match=r"no pilot is left: .*: another program answers"):
        list(execute([train()], Store(tmp_path), executor(workers=1)))
    await_empty_queue()


def test_jobs_with_another_registry_are_refused_and_both_keys_named(slurm, tmp_path):
    folder = shutil.copytree(TOYS, tmp_path / "toys", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(TOYS / "toy_methods.py", folder / "toy_jobs.py")
    (folder / "attack" / "other.yaml").write_text("target: toy_jobs:Shift\nsummary: toy\n")
    cards.add(folder)
    goals = [perturb(methods.make("attack", "other", {}))]
    happening = execute(goals, Store(tmp_path / "slurm"), executor())
    try:
        with pytest.raises(InvspecError, match="no pilot can work for this run: ") as caught:
            list(edited_once_surveyed(happening, folder / "toy_jobs.py"))
    finally:
        cards._added.remove(folder.resolve())
    assert re.search("the task has the key [0-9a-f]{12} here and [0-9a-f]{12}", str(caught.value))


# ─ the command ─


def test_the_command_runs_in_jobs(slurm, tmp_path):
    result = command(
        "run", written(tmp_path, TINY), "--executor", "slurm", "--registry", TOYS,
        "--store", tmp_path / "store", "--workers", 1, "--partition", "all", "--time", "10",
        "--host", "127.0.0.1",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "tasks: 3 computed" in result.stderr
    assert result.stdout.lstrip().startswith("a toy")
    await_empty_queue()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["killed", "interrupted"])
def test_a_run_that_ends_in_the_middle_leaves_no_jobs(slurm, tmp_path, how):
    content = {**TINY, "attacks": {"sleeps": {"seconds": 600}}}
    content["measures"] = {"accuracy": {"of": "sleeps"}}
    words = [
        *COMMAND, "run", written(tmp_path, content), "--executor", "slurm", "--registry", TOYS,
        "--store", tmp_path / "store", "--workers", 3, "--host", "127.0.0.1",
    ]  # fmt: skip
    with (tmp_path / "output").open("wb") as output:
        running = subprocess.Popen(list(map(str, words)), env=environment(), stderr=output)
    try:
        await_words(tmp_path / "output", "train linear")
        # two run, and one waits for a node
        assert len(queue()) == 3
    finally:
        running.send_signal(how)
        running.wait(60)
    await_empty_queue()


def test_the_job_array_of_the_documentation_shares_a_store(slurm, tmp_path, monkeypatch):
    page = (ROOT / "docs" / "slurm.md").read_text()
    (script,) = re.findall(r"^```sh\n(#!/bin/bash\n.*?)^```$", page, re.M | re.S)
    spec = written(tmp_path, {**TINY, "seeds": [0, 1, 2, 3]})
    changes = {
        "0-23%8": "0-2%2",
        "invspec-%A_%a.log": str(tmp_path / "%a.log"),
        "run kamath_tradeoff": f"run {spec} --registry {TOYS}",
        "/shared/store": str(tmp_path / "array"),
    }
    for words, replacement in changes.items():
        assert words in script
        script = script.replace(words, replacement)
    (tmp_path / "array.sh").write_text(script)
    program = tmp_path / "invspec"
    program.write_text(f'#!/bin/sh\nexec {shlex.join(COMMAND)} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    ask("sbatch", tmp_path / "array.sh")
    await_empty_queue()
    logs = [(tmp_path / f"{job}.log").read_text() for job in range(3)]
    # each of the 12 tasks was computed by one of the jobs
    computed = [int(number) for log in logs for number in re.findall(r"(\d+) computed", log)]
    assert sum(computed) == 12
    assert all("a toy" in log for log in logs)
    assert call("run", spec, "--registry", TOYS, "--store", tmp_path / "local") == 0
    assert payloads(tmp_path / "array") == payloads(tmp_path / "local") != {}


def test_variables_of_sbatch_reach_the_jobs(slurm, tmp_path, monkeypatch):
    monkeypatch.setenv("SBATCH_CONSTRAINT", "nothing_like_this")
    with pytest.raises(InvspecError, match=r"Slurm takes no jobs: .*[Ii]nvalid feature"):
        list(execute([train()], Store(tmp_path), executor()))


def await_words(path, words):
    end = time.monotonic() + 120
    while words not in (text := path.read_text(errors="replace")):
        assert time.monotonic() < end, text
        time.sleep(0.2)


def test_refusals_of_nodes_name_the_node(slurm, tmp_path, monkeypatch):
    terms = SimpleNamespace(versions={"torch": "1.0"}, data=None)
    monkeypatch.setattr(
        "invspec.execution.pools.pilot.Terms", SimpleNamespace(of_this_process=lambda: terms)
    )
    with pytest.raises(InvspecError, match=r"no pilot can work for this run: .* has torch"):
        list(execute([train()], Store(tmp_path), executor(workers=1)))
