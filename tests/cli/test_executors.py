"""The executor that the options of `run` choose, and options that contradict each other."""

import pytest
import torch

from invspec.cli.executors import Choice
from invspec.errors import SpecError
from invspec.execution.devices import devices
from invspec.execution.pools.local import LocalExecutor
from invspec.execution.pools.slurm import SlurmExecutor


def test_the_options_of_slurm_reach_its_executor():
    choice = Choice("slurm", workers=4, partition="long", time="1-2", gres="gpu:1", account="lab")
    assert choice.executor() == SlurmExecutor(4, "long", 26 * 60, "gpu:1", "lab", patience=120)
    assert Choice("slurm", host="login2").executor() == SlurmExecutor(host="login2", patience=120)


def test_the_default_is_this_machine():
    assert Choice(workers=3, batch_size=5).executor() == LocalExecutor(("cpu",) * 3, 5)


@pytest.mark.parametrize(
    ("choice", "message", "hint"),
    [
        (Choice("rai"), "--executor: no executor 'rai'", "did you mean ray?"),
        (Choice(devices="cpu", workers=2), "--workers: cannot be combined", "--devices cpu,cpu"),
        (Choice(address="head:6379"), "--address: needs the executor ray", "--executor ray"),
        (
            Choice("slurm", address="head:6379"),
            "--address: needs the executor ray",
            "--executor ray",
        ),
        (Choice(gres="gpu:1"), "--gres: needs the executor slurm", "--executor slurm"),
        (Choice("ray", time="1:00:00"), "--time: needs the executor slurm", "--executor slurm"),
        (Choice("slurm", per_device=2), "--per-device: is not for --executor slurm", "shard:1"),
        (Choice("slurm", time="soon"), "--time: no time 'soon'", "HH:MM:SS"),
        (Choice("ray", devices="cpu"), "--devices: is for --executor local", "--per-device"),
    ],
)
def test_contradictions_are_refused(choice, message, hint):
    with pytest.raises(SpecError) as caught:
        choice.executor()
    assert message in str(caught.value)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("names", "workers", "per_device", "expected"),
    [
        (None, None, 1, "cuda:0 cuda:1"),
        (None, None, 2, "cuda:0 cuda:1 cuda:0 cuda:1"),
        (None, 3, 2, "cuda:0 cuda:1 cuda:0"),
        ("cuda:1", None, 2, "cuda:1 cuda:1"),
        ("cpu,cpu", None, 4, "cpu cpu"),
    ],
)
def test_workers_share_the_gpus(monkeypatch, names, workers, per_device, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert " ".join(devices(names, workers, per_device)) == expected
