"""How often do trainings and attacks wait for the device in one update?

    python benchmarks/syncs.py [--against PATH] [--sites]

Counted on the pretend device of tests/pretend, which needs no GPU: per update, how often the host
waits for the device, how often it copies numbers to the device, and how many operations are
launched. With --against, the checkout at PATH is counted too, by the same script, and its numbers
come first. --sites lists the lines of invspec that wait or copy.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EVENTS = {"sync": "syncs", "host_copy": "copies from the host", "launch": "launches"}
# events per update at each site, by case and event
Counts = dict[str, dict[str, dict[str, float]]]


def main() -> None:
    options = arguments()
    checkouts = [options.against.resolve()] if options.against else []
    counts = [in_checkout(checkout) for checkout in (*checkouts, ROOT)]
    print(f"| per update | {' | '.join(EVENTS.values())} |")
    print(f"| --- |{' --- |' * len(EVENTS)}")
    for case in counts[-1]:
        numbers = (column([sum(each[case][event].values()) for each in counts]) for event in EVENTS)
        print(f"| {case} | {' | '.join(numbers)} |")
    if options.sites:
        print_sites(counts[-1])


def column(numbers: list[float]) -> str:
    """The numbers of the checkouts, a single one if they are equal."""
    return " → ".join(f"{number:g}" for number in dict.fromkeys(numbers))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Count waits for the device per update.")
    parser.add_argument("--against", type=Path, help="another checkout, to be counted first")
    parser.add_argument("--sites", action="store_true", help="list the lines that wait or copy")
    return parser.parse_args()


def in_checkout(checkout: Path) -> Counts:
    """The counts of a checkout, in a process of its own that has the pretend device."""
    folders = (checkout, ROOT / "tests", ROOT / "tests" / "pretend")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders))}
    call = [sys.executable, "-m", "pretend_table"]
    result = subprocess.run(
        call, cwd=checkout, env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    return json.loads(result.stdout)


def print_sites(counts: Counts) -> None:
    """The lines of invspec that wait for the device or copy to it."""
    for case, events in counts.items():
        for event in ("sync", "host_copy"):
            for site, number in events[event].items():
                print(f"{case}: {EVENTS[event]}: {number:g} at {site}")


if __name__ == "__main__":
    main()
