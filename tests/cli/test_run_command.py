"""Runs by command when something fails: one message, an exit code, and the next run continues."""

import os
import signal
import subprocess
import sys

import pytest
from workbench import COMMAND, TOYS, call, command, environment, registered, tiny, written

from invspec.execution.store import Store
from invspec.perform.samples import read_split

ONE_THREAD, TWO_PROCESSES = ("--devices", "cpu"), ("--devices", "cpu,cpu")


@pytest.fixture(autouse=True)
def toy_cards():
    with registered():
        yield


def made(root):
    return {path.name: (path / "made.json").read_bytes() for _, path in Store(root).folders()}


def test_a_run_with_failed_tasks_finishes_the_others_and_exits_with_1(tmp_path, capsys):
    content = tiny(
        defences={"standard": {"epochs": 9, "batch_size": 8, "lr": {"sweep": [0.1, 1e38]}}},
        attacks={"shift": {"by": 0.25}, "breaks": {}},
        measures={"accuracy": {"of": "shift"}, "broken": {"use": "accuracy", "of": "breaks"}},
    )
    assert call("run", written(tmp_path, content), "--store", tmp_path / "store", *ONE_THREAD) == 1
    err = capsys.readouterr().err
    assert "failed: train linear, standard lr 1e+38, seed 0: the loss is" in err
    assert "failed: breaks 0-20 on linear, standard lr 0.1, seed 0: ValueError: toy trouble" in err
    assert "tasks: 3 computed, 2 failed, 5 skipped" in err
    assert "Traceback" not in err

    before = made(tmp_path / "store")
    assert call("run", written(tmp_path, content), "--store", tmp_path / "store", *ONE_THREAD) == 1
    assert "2 found in the store, 2 failed, 5 skipped" in capsys.readouterr().err
    assert made(tmp_path / "store") == before


def test_an_unknown_device_exits_with_2(tmp_path, capsys):
    assert (
        call("run", written(tmp_path, tiny()), "--store", tmp_path / "store", "--devices", "gpu")
        == 2
    )
    assert capsys.readouterr().err.splitlines() == [
        "error: --devices: no device 'gpu'",
        "hint: this machine has cpu",
    ]


MNIST = tiny(
    seeds=[0, 1],
    datasets={"mnist": {}},
    train=[{"dataset": "mnist", "model": "linear", "defence": "standard"}],
)
FILES = [
    f"{part}-{file}-ubyte" for part in ("train", "t10k") for file in ("images-idx3", "labels-idx1")
]


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "cannot be read: No such file or directory"), (b"\0\0\x08\3torn", "is damaged: found")],
    ids=["missing", "truncated"],
)
def test_missing_or_damaged_data_is_one_clear_message(
    tmp_path, monkeypatch, capsys, content, message
):
    folder = tmp_path / "data" / "MNIST" / "raw"
    if content is not None:
        folder.mkdir(parents=True)
        for name in FILES:
            (folder / name).write_bytes(content)
    monkeypatch.setenv("INVSPEC_DATA", str(tmp_path / "data"))
    read_split.cache_clear()
    assert call("run", written(tmp_path, MNIST), "--store", tmp_path / "store", *ONE_THREAD) == 1
    err = capsys.readouterr().err
    assert err.count(message) == err.count("hint: ") == 1
    assert "seed 1: for the same reason" in err
    assert "tasks: 2 failed, " in err
    assert "Traceback" not in err


# Files of at most 2000 bytes: the weights fit, the attacked images do not. A slow training would
# save a checkpoint, which does not fit either.
FULL_DISK = """
import resource
from invspec.execution.runtime import StoreJournal
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
StoreJournal.pause = float("inf")
"""


def test_a_full_disk_is_one_message_and_loses_nothing(tmp_path, capsys):
    spec, root = written(tmp_path, tiny()), tmp_path / "store"
    options = ("--store", root, "--registry", TOYS, *ONE_THREAD)
    run = command("run", spec, *options, preamble=FULL_DISK)
    assert run.returncode == 1
    assert run.stderr.count("error: cannot write to the store") == 1
    assert run.stderr.count("hint: free some disk space") == 1
    assert "Traceback" not in run.stderr
    before = made(root)
    assert len(before) == 1
    assert list((root / "partial").iterdir()) == []

    assert call("run", spec, "--store", root, *ONE_THREAD) == 0
    assert "2 computed, 1 found in the store" in capsys.readouterr().err
    assert before.items() < made(root).items()


# prints each task given to a worker, and handles SIGINT even if pytest runs in the background
PRINTING = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from invspec.execution.pools import local
give = local.WorkerPool.give
def printing(pool, worker, task):
    give(pool, worker, task)
    print("gave", type(task).__name__, flush=True)
local.WorkerPool.give = printing
"""


def interrupted(spec, root, devices, line):
    """Start a run and interrupt its process group at a line of output, as a terminal does.

    Returns the exit code and stderr.
    """
    options = ["--store", str(root), "--registry", str(TOYS), *devices]
    piped = subprocess.PIPE
    run = subprocess.Popen(
        [sys.executable, "-c", PRINTING + COMMAND[-1], "run", str(spec), *options],
        stdout=piped,
        stderr=piped,
        text=True,
        env=environment(),
        start_new_session=True,
    )
    assert run.stdout is not None
    while run.stdout.readline() != f"{line}\n":
        assert run.poll() is None
    os.killpg(run.pid, signal.SIGINT)
    _, err = run.communicate(timeout=60)
    return run.returncode, err


ONE_LINE = "interrupted; finished work is kept, and the same command continues from there\n"


def test_an_interrupted_run_ends_with_one_line_and_the_next_one_continues(tmp_path, capsys):
    content = tiny(attacks={"sleeps": {"seconds": 1.0}}, measures={"accuracy": {"of": "sleeps"}})
    spec, root = written(tmp_path, content), tmp_path / "store"
    code, err = interrupted(spec, root, ONE_THREAD, "gave Perturb")
    trained, last = err.splitlines(keepends=True)
    assert trained.startswith("train linear, standard, seed 0: ")
    assert (code, last) == (130, ONE_LINE)
    before = made(root)
    assert len(before) == 1
    assert not (root / "failures").exists()

    assert call("run", spec, "--store", root, *ONE_THREAD) == 0
    assert "2 computed, 1 found in the store" in capsys.readouterr().err
    assert before.items() < made(root).items()


def test_workers_that_are_still_starting_are_interrupted_silently(tmp_path):
    spec, root = written(tmp_path, tiny(seeds=[0, 1])), tmp_path / "store"
    assert interrupted(spec, root, TWO_PROCESSES, "gave Train") == (130, ONE_LINE)
