"""Does a reversible net train in the memory of one block at any depth, with correct gradients?

    uv run python benchmarks/reversible.py [--quick]

Memory is measured by the operating system in a fresh process: the peak resident set during one
forward and backward pass, minus the resident set before. This includes all allocations, also those
inside kernels; MALLOC_MMAP_THRESHOLD_ makes freed memory return to the system at once. The weights
are allocated before the pass. Their gradients necessarily grow with the net, so a pass that
computes only the gradient of the images is measured too.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import cast

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from invspec.flows.bijective_net import BijectiveNet
from invspec.flows.reversible import Memory
from invspec.models.firevnet import FiRevNet

MEMORIES: tuple[Memory, ...] = ("stored", "reversible")
DEPTHS = (16, 32, 64)
SHAPE, CLASSES = (1, 32, 32), 4
MIB = 2**20
# largest accepted ratio of the memory of the deepest net to that of the shallowest
FLAT = 1.1
# largest accepted relative difference of the gradients
AGREE = {torch.float64: 1e-8, torch.float32: 1e-4}


def net_of(blocks: int, memory: Memory, dtype: torch.dtype = torch.float32) -> BijectiveNet:
    """A net of one stage, so that all blocks are alike, and no coupling is the identity."""
    torch.manual_seed(0)
    net = FiRevNet(stages=1, blocks=blocks, width=64, norm="batch_norm", memory=memory).build(
        SHAPE, CLASSES
    )
    with torch.no_grad():
        for weight in net.parameters():
            weight.add_(0.01 * torch.randn_like(weight))
    net.train()(images(8))
    return net.to(dtype)


def images(n: int) -> Tensor:
    return torch.rand(n, *SHAPE, generator=torch.Generator().manual_seed(1))


def backpropagate(net: nn.Module, x: Tensor) -> Tensor:
    """The gradient of the images after one forward and backward pass; weights get theirs too."""
    net.zero_grad()
    x = x.detach().requires_grad_()
    semantic, nuisance, log_det = cast(BijectiveNet, net).encode_with_log_det(x)
    (
        semantic.logsumexp(1).mean() + nuisance.square().mean() - log_det.mean() / x[0].numel()
    ).backward()
    return cast(Tensor, x.grad)


# ─ memory ─────────────────────────────────────────────────────────────────────────────────────────


def resident() -> int:
    """Bytes of this process that are resident in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def measure(blocks: int, memory: Memory, weights: bool, batch: int) -> None:
    """Body of the fresh process: print the bytes of a pass and of the gradients of the weights."""
    torch.set_num_threads(1)
    net, x = net_of(blocks, memory).requires_grad_(weights), images(batch)
    # load code before the measurement
    backpropagate(net, x[:1])
    net.zero_grad()
    before = resident()
    backpropagate(net, x)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    gradients = sum(weight.grad.nbytes for weight in net.parameters() if weight.grad is not None)
    print(json.dumps({"peak": peak - before, "gradients": gradients}))


def measured(blocks: int, memory: Memory, weights: bool, batch: int) -> tuple[float, float]:
    """MiB of a pass in a fresh process, with and without the gradients of the weights."""
    arguments = ["--measure", str(blocks), memory, str(int(weights)), str(batch)]
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "OMP_NUM_THREADS": "1"}
    process = subprocess.run(
        [sys.executable, __file__, *arguments], env=environment, check=True, capture_output=True
    )
    usage = json.loads(process.stdout)
    return usage["peak"] / MIB, (usage["peak"] - usage["gradients"]) / MIB


def memory_table(batch: int) -> tuple[Table, dict[str, bool]]:
    """The memory at every depth, and whether that of reversible nets stays constant."""
    title = (
        f"MiB of a pass over {batch} images: gradient of the images only · of the weights too · "
        "the latter minus the size of the weights' gradients"
    )
    table = Table("", *(f"{blocks} blocks" for blocks in DEPTHS), title=title, title_justify="left")
    held: dict[str, bool] = {}
    for memory in MEMORIES:
        images_only = [measured(blocks, memory, False, batch)[0] for blocks in DEPTHS]
        with_weights = [measured(blocks, memory, True, batch) for blocks in DEPTHS]
        cells = [
            f"{alone:.1f} · {total:.1f} · {remainder:.1f}"
            for alone, (total, remainder) in zip(images_only, with_weights, strict=True)
        ]
        table.add_row(memory, *cells)
        if memory == "reversible":
            sizes_by_gradient = {
                "images": images_only,
                "weights": [remainder for _, remainder in with_weights],
            }
            for gradient, sizes in sizes_by_gradient.items():
                growth = sizes[-1] / sizes[0]
                text = f"{DEPTHS[-1]} blocks at most {FLAT} x {DEPTHS[0]}: {growth:.2f}"
                held[f"gradient of the {gradient}: {text}"] = growth <= FLAT
    return table, held


# ─ gradients and time ─────────────────────────────────────────────────────────────────────────────


def disagreement(blocks: int, dtype: torch.dtype, batch: int) -> tuple[float, float]:
    """Relative l2 difference of the two gradients: as one vector, and of the worst weight.

    A ReLU whose input is 0 up to rounding may be on in one net and off in the other, which shows in
    the gradient of a small weight.
    """
    x, gradients = images(batch).to(dtype), list[list[Tensor]]()
    for memory in MEMORIES:
        net = net_of(blocks, memory, dtype)
        x_gradient = backpropagate(net, x)
        gradients.append(
            [
                x_gradient.flatten(),
                *(cast(Tensor, weight.grad).flatten() for weight in net.parameters()),
            ]
        )
    stored, reversible = gradients
    differences = [
        ((a - b).norm() / b.norm()).item()
        for a, b in zip(reversible, stored, strict=True)
        if b.norm() > 1e-6
    ]
    overall = (torch.cat(reversible) - torch.cat(stored)).norm() / torch.cat(stored).norm()
    return overall.item(), max(differences)


def times(blocks: int, batch: int, rounds: int) -> dict[Memory, list[float]]:
    """Seconds of a pass of both nets in every round; they take turns in going first."""
    nets, x = {memory: net_of(blocks, memory) for memory in MEMORIES}, images(batch)
    seconds: dict[Memory, list[float]] = {memory: [] for memory in MEMORIES}
    # round -1 warms up and is not recorded
    for turn in range(-1, rounds):
        for memory in MEMORIES[:: 1 if turn % 2 else -1]:
            start = time.perf_counter()
            backpropagate(nets[memory], x)
            if turn >= 0:
                seconds[memory].append(time.perf_counter() - start)
    return seconds


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="few images and rounds, to check that it runs"
    )
    parser.add_argument("--measure", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        blocks, memory, weights, batch = options.measure
        measure(int(blocks), memory, weights == "1", int(batch))
        return 0
    torch.set_num_threads(1)
    console, batch = Console(), 8 if options.quick else 32
    table, held = memory_table(batch)
    console.print(table)
    for dtype, tolerance in AGREE.items():
        overall, worst = disagreement(DEPTHS[-1], dtype, min(batch, 16))
        difference = f"{overall:.1e} (worst weight: {worst:.1e})"
        held[
            f"gradients of {DEPTHS[-1]} blocks agree to {tolerance:g} in {dtype}: {difference}"
        ] = overall <= tolerance
    seconds = times(DEPTHS[0], batch, 3 if options.quick else 7)
    medians = {memory: statistics.median(values) for memory, values in seconds.items()}
    ratio = statistics.median(
        reversible / stored for stored, reversible in zip(*seconds.values(), strict=True)
    )
    listed = ", ".join(f"{memory} {1000 * median:.0f} ms" for memory, median in medians.items())
    console.print(
        f"time of a pass, {DEPTHS[0]} blocks, {batch} images: {listed}; "
        f"reversible {ratio:.2f} x stored"
    )
    for text, holds in held.items():
        console.print(f"{'held  ' if holds else 'missed'}  {text}")
    return 0 if options.quick or all(held.values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
