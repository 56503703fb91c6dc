"""What `invspec doctor` observes, and what to do where something is not ok."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from invspec import cpu
from invspec.execution import disk
from invspec.execution.devices import LACKS, cores
from invspec.execution.provenance import versions
from invspec.registry import cards

Outcome = Literal["ok", "note", "bad"]

# Optional packages, by the names of their modules, and what needs them.
EXTRAS = {
    "art": "the attack art",
    "foolbox": "the attack foolbox",
    "torchattacks": "the attack torchattacks",
    "robustbench": "the model robustbench",
    "timm": "the model timm",
    "ray": "--executor ray",
    "submitit": "--executor slurm",
    "mlflow": "report --to mlflow",
    "tensorboard": "report --to tensorboard",
    "wandb": "report --to wandb",
}
# The packages of modules that have another name.
PACKAGES = {"art": "adversarial-robustness-toolbox"}
# Files of the data sets of the example specs, relative to INVSPEC_DATA.
DATA = {
    "MNIST": "MNIST/raw/train-images-idx3-ubyte*",
    "CIFAR-10": "cifar-10-batches-py/data_batch_1",
    "LPIPS": "weights/*lpips*",
}
# Free space below which a run may soon fail, and clock differences that matter to leases.
FEW_BYTES, MAX_SKEW = 2 * 2**30, 5.0


@dataclass(frozen=True)
class Observation:
    """Something is ok, bad, or worth a note as only some runs need it."""

    subject: str
    outcome: Outcome
    text: str
    hint: str = ""


def observe(store: Path) -> Iterator[Observation]:
    """All observations on this machine, the user's data and the store's folder."""
    yield from _versions()
    yield from _devices()
    yield from _engines()
    yield from _data()
    yield from _registry()
    yield from _store(store)


def _versions() -> Iterator[Observation]:
    known = versions()
    text = f"invspec {known['invspec']} (commit {known['commit'][:12]}), torch {known['torch']}"
    yield Observation("versions", "ok", f"{text}, Python {platform.python_version()}")


def _devices() -> Iterator[Observation]:
    mode = os.environ.get(cpu.VARIABLE)
    text = f"{cores()} cores, {platform.machine()}, {cpu.VARIABLE} {mode or 'not set'}"
    if cpu.ensure_prepared():
        yield Observation("CPU", "ok", text)
    else:
        hint = "import invspec before torch, so that batch size changes no result"
        yield Observation("CPU", "note", text, hint)
    if torch.backends.mps.is_available():
        yield Observation("GPU", "note", f"mps is not used: {LACKS['mps']}", "runs use CPU workers")
    elif not torch.cuda.is_available():
        yield Observation("GPU", "note", "none that torch can use", "runs use CPU workers")
    for index in range(torch.cuda.device_count()):
        facts = torch.cuda.get_device_properties(index)
        memory = facts.total_memory / 2**30
        yield Observation("GPU", "ok", f"cuda:{index}: {facts.name}, {memory:.0f} GiB")


def _engines() -> Iterator[Observation]:
    for module, use in EXTRAS.items():
        package = PACKAGES.get(module, module)
        if importlib.util.find_spec(module) is None:
            hint = f"only for {use}: install the package {package}"
            yield Observation(package, "note", "not installed", hint)
        else:
            yield Observation(package, "ok", importlib.metadata.version(package))
    if shutil.which("sbatch"):
        yield Observation("slurm", "ok", shutil.which("sbatch") or "")


def _data() -> Iterator[Observation]:
    named = os.environ.get("INVSPEC_DATA")
    if not named:
        hint = "set INVSPEC_DATA or --data to use a folder of your own"
        yield Observation("data", "note", "INVSPEC_DATA is not set: data sets are downloaded", hint)
        return
    root = Path(named)
    if not root.is_dir():
        yield Observation("data", "bad", f"no folder {root}", "correct INVSPEC_DATA or --data")
        return
    for name, pattern in DATA.items():
        present = any(root.glob(pattern))
        hint = "" if present else f"expected {pattern} in {root}, for specs that use it"
        text = f"{name} in {root}" if present else f"no {name} in {root}"
        yield Observation("data", "ok" if present else "note", text, hint)


def _registry() -> Iterator[Observation]:
    for kind in cards.KINDS:
        for path in cards.names(kind).values():
            if not path.is_file():
                yield Observation("registry", "bad", f"{path} cannot be read")
    counts = ", ".join(f"{len(cards.names(kind))} {kind}s" for kind in cards.KINDS)
    yield Observation("registry", "ok", counts.replace("datasets", "data sets"))


def _store(store: Path) -> Iterator[Observation]:
    root = store.resolve()
    if not root.is_dir():
        yield Observation("store", "note", f"no folder {root}", "`invspec run` creates it")
        return
    try:
        seconds, skew = _probe(root)
    except OSError as problem:
        hint = "choose another --store, or make it writable"
        yield Observation("store", "bad", f"{root} cannot be written: {problem.strerror}", hint)
        return
    free = shutil.disk_usage(root).free
    hint = "" if free > FEW_BYTES else "free some space, or choose another --store"
    text = f"{root}: {free / 2**30:.0f} GiB free, {seconds * 1e3:.0f} ms to save a file safely"
    yield Observation("store", "note" if hint else "ok", text, hint)
    if abs(skew) > MAX_SKEW:
        text = f"its clock differs from this machine's by {skew:.0f} s"
        yield Observation("store", "note", text, "set the clocks of both machines by NTP")


def _probe(root: Path) -> tuple[float, float]:
    """Seconds to write, flush and rename a file, and by how much the store's clock is ahead."""
    name = uuid.uuid4().hex
    partial, final = disk.temporary(root, name), root / "partial" / f"{name}.probe"
    start = time.perf_counter()
    try:
        partial.write_text(name, encoding="utf-8")
        disk.flush(partial)
        partial.rename(final)
        disk.flush(final.parent)
        assert final.read_text(encoding="utf-8") == name, f"{final} does not hold what was written"
        return time.perf_counter() - start, final.stat().st_mtime - time.time()
    finally:
        partial.unlink(missing_ok=True)
        final.unlink(missing_ok=True)
