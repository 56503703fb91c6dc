"""Jobs of submitit that are processes of this machine, for tests of the pool of pilots."""

from __future__ import annotations

import time

from invspec.execution.pools.jobs import State
from invspec.execution.pools.slurm_jobs import SlurmJobs


class LocalJobs(SlurmJobs):
    """Jobs that run at once. They do not say whether their process crashed."""

    cluster = "local"
    commands = ()

    def states(self) -> dict[str, State]:
        return {
            name: State.STOPPED if job.done() else State.RUNNING for name, job in self.jobs.items()
        }

    def cancel(self, job: str) -> None:
        self.jobs[job].cancel()

    def cancel_all(self) -> None:
        # pilots end by themselves when the run hangs up
        if not self._all_ended(20):
            for job in self.jobs.values():
                job.cancel()
            assert self._all_ended(20), f"jobs do not end: {self.states()}"

    def _all_ended(self, seconds: float) -> bool:
        end = time.monotonic() + seconds
        while not all(state.is_over for state in self.states().values()):
            if time.monotonic() > end:
                return False
            time.sleep(0.05)
        return True
