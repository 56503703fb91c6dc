"""Do 100,000 pairs of images run in parts, survive `kill -9`, and take no more memory than 10,000?

    INVSPEC_DATA=.data uv run python benchmarks/pairs.py [--pairs 100800]

Runs NSPGD on a small net on MNIST. Each run is a process of its own whose peak memory is read when
it ends. The large run is killed after a third of its parts and started again; the finished parts
must be found in the store and not run again.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SPEC = """\
title: pairs
datasets: {mnist: {}}
models: {mlp: {}}
defences: {standard: {epochs: 1, examples: 10000}}
attacks:
  nspgd: {step_mode: fraction, steps: 5, sample: {limit: LIMIT, targets: {per_class: 2}}}
measures:
  success_rate: {of: nspgd, distance: l2, max_distance: 5}
train:
  - {dataset: mnist, model: mlp, defence: standard}
"""
# two targets from each of the nine other classes
PER_SOURCE = 18
# largest accepted ratio of the memory of the large run to that of the small run
ALLOWED = 1.2


def command(folder: Path, pairs: int) -> list[str]:
    """The command line that runs the spec on this many pairs."""
    spec = folder / f"pairs{pairs}.yaml"
    spec.write_text(SPEC.replace("LIMIT", str(pairs // PER_SOURCE)))
    store = folder / f"store{pairs}"
    call = [sys.executable, "-c", "from invspec.cli import main; main()"]
    return [*call, "run", str(spec), "--store", str(store)]


def peak(arguments: list[str]) -> tuple[float, float]:
    """Seconds and peak memory, in MiB, of a process and its workers."""
    start = time.monotonic()
    with subprocess.Popen(
        arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        _, status, _ = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, f"exit code {process.returncode}"
    return time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def parts(folder: Path, pairs: int) -> set[Path]:
    """Folders of the finished parts of the attack."""
    return set((folder / f"store{pairs}" / "perturb").glob("*/*"))


def killed(folder: Path, arguments: list[str], pairs: int, after: int) -> set[Path]:
    """Start a run, kill it and its workers once `after` parts are finished, and return these."""
    process = subprocess.Popen(
        arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    while len(parts(folder, pairs)) < after:
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return parts(folder, pairs)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--pairs",
        type=int,
        default=100_800,
        help="pairs of the large run; the small run has a tenth",
    )
    large = parser.parse_args().pairs
    with tempfile.TemporaryDirectory() as name:
        folder, small = Path(name), large // 10
        seconds, memory = peak(command(folder, small))
        finished = len(parts(folder, small))
        print(f"{small:,} pairs: {seconds:.0f} s, peak {memory:.0f} MiB, {finished} parts")
        before = killed(folder, command(folder, large), large, after=large // 6000)
        stamps = {path: path.stat().st_mtime_ns for path in before}
        print(f"{large:,} pairs: killed after {len(before)} parts")
        seconds, large_memory = peak(command(folder, large))
        finished, ratio = len(parts(folder, large)), large_memory / memory
        print(
            f"{large:,} pairs: resumed, {seconds:.0f} s, "
            f"peak {large_memory:.0f} MiB, {finished} parts"
        )
        untouched = all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items())
        held = {
            f"memory at most {ALLOWED} x that of a tenth of the pairs: {ratio:.2f}": ratio
            <= ALLOWED,
            f"the {len(before)} parts finished before the kill did not run again": untouched,
        }
    for text, holds in held.items():
        print(f"{'held  ' if holds else 'missed'}  {text}")
    return 0 if all(held.values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
