"""The tasks of a spec's smoke run on the pretend device and on the CPU; runs in the child."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from pretend_bits import differences
from pretend_device import NAME
from pretend_exceptions import exempt
from workbench import Memory

from invspec.perform.runtime import Artifact
from invspec.plan import planner
from invspec.spec import overlay
from invspec.tasks import Task


class Placed(Memory):
    """A runtime on the device; it takes the CPU's artifacts of tasks that the device cannot run."""

    def __init__(self, cpu: Memory) -> None:
        super().__init__(cpu.batch_size)
        self.cpu, self.device = cpu, torch.device(NAME, 0)

    def load(self, task: Task) -> Artifact:
        return self.cpu.load(task) if exempt(task) else super().load(task)


def smoke_differences(path: Path) -> list[str]:
    """The tasks of a smoke run whose artifacts differ, with the names of what differs."""
    # a smoke run reads no data
    os.environ["INVSPEC_DATA"] = "/nothing"
    cpu = Memory(batch_size=64)
    device = Placed(cpu)
    tasks = planner.plan(overlay.load(path).smoke()).tasks
    different = {task: differences(cpu.load(task), device.load(task)) for task in tasks}
    return [f"{task}: {names}" for task, names in different.items() if names]
