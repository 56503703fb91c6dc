"""Does memory grow with the number of images in a folder? Peak memory for n, 4 n and 16 n images.

    uv run python benchmarks/image_folder.py --images 1000

`read` reads all images in batches of 64; `spec` runs a spec on them, with an untrained net, PGD and
accuracy. Each run is a fresh process. The folders consist of links to a few images of noise,
150 x 130 pixels. The peak at 16 n must be at most 1.1 times that at 4 n. A task of a spec holds the
images of one part, up to 2,000, so 4 n should be larger than that. The exit code is 1 if memory
grows.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

CLASSES, PHOTOS = 10, 20
# largest accepted ratio of the peak at 16 n to that at 4 n
GROWTH = 1.1
SPEC = """\
title: does memory grow?
datasets: {image_folder: {folder: FOLDER, train: ., val: ., test: ., size: 64, resize: 72}}
models: {linear: {}}
defences: {untrained: {}}
attacks: {pgd: {eps: 8/255, steps: 2}}
measures: {accuracy: {of: pgd}}
train: [{dataset: image_folder, model: linear, defence: untrained}]
"""


def make_folder(root: Path, images: int) -> Path:
    """A folder of links to a few photos, spread over the classes."""
    originals = root / "originals"
    if not originals.exists():
        originals.mkdir()
        for number in range(PHOTOS):
            pixels = np.random.default_rng(number).integers(0, 256, (130, 150, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(originals / f"{number}.jpg")
    folder = root / f"{images}"
    for number in range(images):
        path = folder / f"class{number % CLASSES}" / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(originals / f"{number % PHOTOS}.jpg", path)
    return folder


def read(folder: Path) -> int:
    """Read all images; returns their number."""
    from invspec.datasets.image_folder import ImageFolder

    data = ImageFolder(folder=str(folder), train=".", val=".", test=".")
    return sum(len(batch) for batch in data.load("test").batches(64))


def run_spec(folder: Path) -> int:
    """Run the spec on all images; returns their number."""
    from invspec import cli

    path = folder.parent / f"{folder.name}.yaml"
    path.write_text(SPEC.replace("FOLDER", str(folder)))
    # stdout is reserved for the JSON line that the parent process reads
    sys.stdout = sys.stderr
    try:
        store = folder.parent / f"store{folder.name}"
        cli.main(["run", str(path), "--workers", "1", "--store", str(store)])
    except SystemExit as end:
        if end.code:
            raise RuntimeError(f"the spec ended with {end.code}") from None
    return int(folder.name)


WAYS: dict[str, Callable[[Path], int]] = {"read": read, "spec": run_spec}


def measured(way: str, folder: Path) -> tuple[float, float]:
    """Peak memory in MiB and seconds of a fresh process and its workers on one folder."""
    call = [sys.executable, __file__, "--way", way, "--folder", str(folder)]
    process = subprocess.run(
        call, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True
    )
    result = json.loads(process.stdout.splitlines()[-1])
    return result["peak"], result["seconds"]


def measure(way: str, folder: Path) -> None:
    """Body of the fresh process: print its peak memory and seconds as JSON."""
    out, start = sys.stdout, time.perf_counter()
    WAYS[way](folder)
    seconds = time.perf_counter() - start
    peak = max(
        resource.getrusage(who).ru_maxrss
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    print(json.dumps({"peak": peak / 1024, "seconds": seconds}), file=out)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=1000, help="n")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        measure(options.way, options.folder)
        return
    table, grown = Table("way", "images", "peak, MiB", "images / s"), False
    with TemporaryDirectory() as root:
        sizes = [options.images * factor for factor in (1, 4, 16)]
        folders = [make_folder(Path(root), images) for images in sizes]
        for way in WAYS:
            peaks: list[float] = []
            for images, folder in zip(sizes, folders, strict=True):
                peak, seconds = measured(way, folder)
                peaks.append(peak)
                table.add_row(way, f"{images:,}", f"{peak:.0f}", f"{images / seconds:.0f}")
            grown |= peaks[-1] > GROWTH * peaks[-2]
    Console().print(table)
    print("memory grows" if grown else "held: memory does not grow with the number of images")
    sys.exit(grown)


if __name__ == "__main__":
    main()
