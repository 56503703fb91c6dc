"""Devices by name, by number of workers, or all that there are."""

import pytest
import torch

from invspec.errors import InvspecError, SpecError
from invspec.execution import devices


def test_devices(monkeypatch):
    assert devices.devices("cpu, cpu", None) == ("cpu", "cpu")
    assert devices.devices(None, 3) == ("cpu",) * 3
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert devices.devices(None, None) == ("cpu",) * devices.cores()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert devices.devices(None, None) == ("cuda:0", "cuda:1")
    assert devices.devices("cuda:1,cuda", None) == ("cuda:1", "cuda")
    assert devices.devices(None, 3) == ("cuda:0", "cuda:1", "cuda:0")
    assert devices.devices("cpu,cpu", None) == ("cpu", "cpu")


@pytest.mark.parametrize(
    ("names", "cores", "expected"),
    [
        (("cpu", "cpu"), 64, 0),
        (("cuda:0",), 64, 2),
        (("cuda:0", "cuda:1"), 3, 1),
        (("cuda:0",), 1, 0),
    ],
)
def test_gpus_leave_cores_for_tasks_that_need_none(monkeypatch, names, cores, expected):
    monkeypatch.setattr(devices, "cores", lambda: cores)
    assert devices.spares(names) == expected


@pytest.mark.parametrize(
    "names", ["gpu", "", "cpu,", "cuda:9", "cuda:x", "cpu:", "cpu:1", "cuda:-1"]
)
def test_an_unknown_device_is_a_clear_error(names):
    message = r"--devices: no device '.*'\nhint: this machine has cpu"
    with pytest.raises(SpecError, match=message):
        devices.devices(names, None)


@pytest.mark.parametrize("names", ["mps", "mps:0", "cpu,mps"])
def test_the_gpu_of_a_mac_is_refused_in_a_sentence(monkeypatch, names):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    message = r"--devices: mps cannot be used: .* no float64, .*\nhint: leave --devices out"
    with pytest.raises(SpecError, match=message):
        devices.devices(names, None)


def test_a_mac_runs_on_its_cores(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.delattr(devices.os, "sched_getaffinity")
    monkeypatch.setattr(devices.os, "cpu_count", lambda: 8)
    assert devices.devices(None, None) == ("cpu",) * 8


@pytest.mark.parametrize("kind", ["mps", "xpu", "meta"])
def test_a_net_on_another_device_is_refused(kind):
    with pytest.raises(InvspecError, match=rf"{kind} cannot be used: .*\nhint: run on the CPU or"):
        devices.refuse_unsupported(torch.device(kind))
    devices.refuse_unsupported(torch.device("cpu"))
    devices.refuse_unsupported(torch.device("cuda:1"))
