"""Do 100,000 pairs of images run in parts, survive `kill -9`, and take no more memory than 10,000?

    INVSPEC_DATA=.data uv run python benchmarks/pairs.py [--pairs 100800]

NSPGD on a small net on MNIST, each run a process of its own whose peak memory is read when it ends. The large run is
killed after a third of its parts and started again; what it had finished must be found in the store, not run again.
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
PER_SOURCE = 18  # two targets of each of nine other classes
ALLOWED = 1.2  # times the memory of the small run


def command(folder: Path, pairs: int) -> list[str]:
    spec = folder / f"pairs{pairs}.yaml"
    spec.write_text(SPEC.replace("LIMIT", str(pairs // PER_SOURCE)))
    store = folder / f"store{pairs}"
    return [
        sys.executable,
        "-c",
        "from invspec.cli import main; main()",
        "run",
        str(spec),
        "--store",
        str(store),
    ]


def peak(arguments: list[str]) -> tuple[float, float]:
    """Seconds and the largest memory, in MiB, of a process and its workers."""
    start = time.monotonic()
    with subprocess.Popen(
        arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        _, status, _ = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, f"exit code {process.returncode}"
    return time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def parts(folder: Path, pairs: int) -> set[Path]:
    """Finished parts of the attack."""
    return set((folder / f"store{pairs}" / "perturb").glob("*/*"))


def killed(folder: Path, arguments: list[str], pairs: int, after: int) -> set[Path]:
    """Start a run and kill it, workers and all, once so many parts are finished; gives these."""
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
        "--pairs", type=int, default=100_800, help="of the large run; the small one has a tenth"
    )
    large = parser.parse_args().pairs
    with tempfile.TemporaryDirectory() as name:
        folder, small = Path(name), large // 10
        seconds, memory = peak(command(folder, small))
        print(
            f"{small:,} pairs: {seconds:.0f} s, peak {memory:.0f} MiB, {len(parts(folder, small))} parts"
        )
        before = killed(folder, command(folder, large), large, after=large // 6000)
        stamps = {path: path.stat().st_mtime_ns for path in before}
        print(f"{large:,} pairs: killed after {len(before)} parts")
        seconds, most = peak(command(folder, large))
        print(
            f"{large:,} pairs: resumed, {seconds:.0f} s, peak {most:.0f} MiB, {len(parts(folder, large))} parts"
        )
        kept = all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items())
        held = {
            f"memory at most {ALLOWED} x that of a tenth of the pairs: {most / memory:.2f}": most
            <= ALLOWED * memory,
            f"the {len(before)} parts finished before the kill were kept": kept,
        }
    for text, good in held.items():
        print(f"{'held  ' if good else 'missed'}  {text}")
    return 0 if all(held.values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
