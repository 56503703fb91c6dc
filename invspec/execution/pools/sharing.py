"""Devices that several workers share, and tasks that need one of them for themselves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Hashable, Mapping


class Sharing:
    """Which workers may get a task, where some task needs the memory of a whole device.

    A task that ran out of memory keeps its worker and waits until the device's other workers are
    idle; meanwhile they get no tasks. Then it is tried again, once. devices holds the device of
    each worker: for workers on several machines, a pair of host and device.
    """

    def __init__(self, devices: Mapping[str, Hashable]) -> None:
        self._devices: dict[str, Hashable] = {}
        self._workers: dict[Hashable, list[str]] = defaultdict(list)
        for worker, device in devices.items():
            self.place(worker, device)
        self._waiting: dict[Hashable, list[str]] = {}
        self._alone: dict[Hashable, str] = {}

    def place(self, worker: str, device: Hashable) -> None:
        """A worker is on a device now; one of a cluster may have been on another before."""
        if worker in self._devices:
            self._workers[self._devices[worker]].remove(worker)
        self._devices[worker] = device
        self._workers[device].append(worker)

    def others(self, worker: str) -> list[str]:
        """The other workers of a worker's device."""
        return [other for other in self._workers[self._devices[worker]] if other != worker]

    def wait(self, worker: str) -> bool:
        """Let a worker's task wait for its device. Returns False if it had the device alone."""
        if self.is_alone(worker) or not self.others(worker):
            return False
        self._waiting.setdefault(self._devices[worker], []).append(worker)
        return True

    def waits(self, worker: str) -> bool:
        """Whether a worker's task waits for its device."""
        return worker in self._waiting.get(self._devices[worker], ())

    def is_alone(self, worker: str) -> bool:
        """Whether a worker's task has its device for itself after it waited."""
        return self._alone.get(self._devices[worker]) == worker

    def is_open(self, worker: str) -> bool:
        """Whether a worker may get a task: no task waits for its device, or has it alone."""
        device = self._devices[worker]
        return device not in self._waiting and device not in self._alone

    def next(self, working: Collection[str]) -> list[str]:
        """The workers whose task waited and now has its device alone; it is to be sent again.

        working are the workers that perform a task.
        """
        return [
            self._isolate(device)
            for device in list(self._waiting)
            if device not in self._alone and not set(working) & set(self._workers[device])
        ]

    def _isolate(self, device: Hashable) -> str:
        worker = self._waiting[device].pop(0)
        if not self._waiting[device]:
            del self._waiting[device]
        self._alone[device] = worker
        return worker

    def release(self, worker: str) -> None:
        """A worker has no task any more."""
        if worker in self._devices and self.is_alone(worker):
            del self._alone[self._devices[worker]]
