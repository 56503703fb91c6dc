"""What is asked of Slurm's commands, and how their answers are read: with commands of our own."""

from __future__ import annotations

import os
import shlex
import sys

import pytest

from invspec.errors import InvspecError
from invspec.execution.pools import slurm_jobs
from invspec.execution.pools.jobs import State
from invspec.execution.pools.slurm_jobs import Call, SlurmJobs


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """Writes a command as a shell script, which notes how it was called."""
    pytest.importorskip("submitit")
    folder, log = tmp_path / "bin", tmp_path / "called"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def write(name, script):
        path = folder / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >> {shlex.quote(str(log))}\n{script}\n')
        path.chmod(0o755)
        return log

    write("srun", "exit 1")
    return write


@pytest.fixture
def jobs(tmp_path):
    folder = tmp_path / "ab12"
    folder.mkdir()
    return SlurmJobs(folder, 90, {"slurm_partition": "long"})


def test_jobs_are_submitted_as_an_array_with_their_options(commands, jobs, tmp_path):
    script = tmp_path / "script"
    commands("sbatch", f'cp "$1" {script}; echo "Submitted batch job 7"')
    assert jobs.submit(2) == ["7_0", "7_1"]
    lines = script.read_text().splitlines()
    assert {
        "#SBATCH --array=0-1%2",
        "#SBATCH --job-name=invspec-ab12",
        "#SBATCH --partition=long",
        "#SBATCH --time=90",
    } <= set(lines)


def test_one_job_is_submitted_by_itself(commands, jobs):
    commands("sbatch", 'echo "Submitted batch job 7"')
    assert jobs.submit(1) == ["7"]


def test_jobs_do_not_inherit_the_job_that_the_run_is_in(commands, jobs, tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "12")
    monkeypatch.setenv("SLURM_CONF", "/etc/other.conf")
    seen = tmp_path / "environment"
    commands("sbatch", f'env > {seen}; echo "Submitted batch job 7"')
    jobs.submit(1)
    assert "SLURM_CPUS_PER_TASK" not in seen.read_text()
    assert "SLURM_CONF=/etc/other.conf" in seen.read_text()
    assert os.environ["SLURM_CPUS_PER_TASK"] == "12"


def test_a_refusal_has_the_words_of_sbatch(commands, jobs):
    commands("sbatch", 'echo "sbatch: error: invalid partition specified: long" >&2; exit 1')
    with pytest.raises(InvspecError) as caught:
        jobs.submit(2)
    assert str(caught.value).startswith("Slurm takes no jobs: invalid partition specified: long")
    assert "--partition" in caught.value.hint


def test_the_states_of_jobs_are_read(commands, jobs):
    words = (
        "PENDING",
        "RUNNING",
        "COMPLETING",
        "CANCELLED",
        "FAILED",
        "OUT_OF_MEMORY",
        "NODE_FAIL",
    )
    listed = "".join(f"7_{i} {word}\\n" for i, word in enumerate(words))
    log = commands("squeue", f"printf '{listed}'")
    assert list(jobs.states().values()) == [
        State.PENDING,
        State.RUNNING,
        State.RUNNING,
        State.STOPPED,
        State.CRASHED,
        State.CRASHED,
        State.STOPPED,
    ]
    assert next(iter(jobs.states())) == "7_0"
    assert "--name=invspec-ab12" in log.read_text()
    assert "--states=all" in log.read_text()


def test_a_controller_that_does_not_answer_says_nothing_about_jobs(commands, jobs, monkeypatch):
    commands("squeue", "exit 1")
    assert jobs.states() is None
    monkeypatch.setattr(slurm_jobs, "COMMAND", 0.1)
    commands("squeue", "exec sleep 5")
    assert jobs.states() is None


def test_the_last_words_are_those_of_the_process_and_its_death_is_told_by_slurm(commands, jobs):
    commands("sbatch", 'echo "Submitted batch job 7"')
    jobs.submit(1)
    log = jobs.jobs["7"].paths.stderr
    assert (jobs.last_words("7"), jobs.death("7")) == ("", "")
    log.write_text("no run at login:9\nhint: --host\nsrun: error: node1: task 0: Killed\n")
    assert jobs.last_words("7") == "no run at login:9"
    assert jobs.death("7") == "srun: error: node1: task 0: Killed"
    log.write_text("slurmstepd: error: execve(): python: No such file or directory\n")
    assert jobs.last_words("7") == "slurmstepd: error: execve(): python: No such file or directory"


def test_the_end_cancels_all_jobs_and_keeps_the_logs_only_on_request(commands, jobs):
    log = commands("scancel", "")
    commands("sbatch", 'echo "Submitted batch job 7"')
    jobs.submit(1)
    jobs.file.touch()
    jobs.close(keep=True)
    assert "scancel --quiet --name=invspec-ab12" in log.read_text()
    assert jobs.folder.exists()
    assert not jobs.file.exists()
    jobs.close(keep=False)
    assert not jobs.folder.exists()


def test_jobs_that_were_never_submitted_are_not_cancelled(commands, jobs, tmp_path):
    commands("scancel", "")
    jobs.close(keep=False)
    assert not (tmp_path / "called").exists()


# ─ on the nodes ─


@pytest.fixture
def ends(monkeypatch):
    """The exit codes with which jobs end."""
    codes = []
    monkeypatch.setattr(slurm_jobs.pilot, "leave", codes.append)
    monkeypatch.setenv("SUBMITIT_EXECUTOR", "slurm")
    monkeypatch.setenv("SLURM_JOB_ID", "12")
    return codes


@pytest.mark.parametrize(
    ("outcome", "code"),
    [(0, 0), (1, 1), (SystemExit(-1), 255), (InvspecError("no run"), 1), (ValueError("toy"), 1)],
)
def test_a_job_ends_with_the_code_of_its_pilot(ends, monkeypatch, tmp_path, capsys, outcome, code):
    pytest.importorskip("submitit")
    called = []

    def run(file, job):
        called.append((file, job))
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    monkeypatch.setattr(slurm_jobs.pilot, "run", run)
    Call(tmp_path)()
    assert called == [(tmp_path, "12")]
    assert ends == [code]
    if isinstance(outcome, InvspecError):
        assert capsys.readouterr().err == "no run\n"


def test_a_requeued_job_calls_the_same_run(tmp_path):
    submitit = pytest.importorskip("submitit")
    again = Call(tmp_path).checkpoint()
    assert isinstance(again, submitit.helpers.DelayedSubmission)
    assert again.function == Call(tmp_path)


def test_the_package_submitit_is_asked_for(monkeypatch):
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(InvspecError, match="needs the package submitit"):
        slurm_jobs.submitit()
