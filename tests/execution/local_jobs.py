"""Jobs of submitit that are processes of this machine, for tests of the pool of pilots."""

from __future__ import annotations

import os
import time
from contextlib import suppress

import pytest

from invspec.execution.pools import slurm


class LocalJobs(slurm.SlurmJobs):
    """Jobs that run at once."""

    cluster = "local"

    def alive(self) -> set[str]:
        return {name for name, job in self.jobs.items() if not job.done()}

    def cancel(self, job: str) -> None:
        self.jobs[job].cancel()

    def cancel_all(self) -> None:
        # pilots end by themselves when the run hangs up
        if not self._all_ended(10):
            for job in self.alive():
                self.cancel(job)
            assert self._all_ended(10), f"jobs {self.alive()} do not end"

    def _all_ended(self, seconds: float) -> bool:
        end = time.monotonic() + seconds
        while self.alive() and time.monotonic() < end:
            time.sleep(0.05)
        return not self.alive()
