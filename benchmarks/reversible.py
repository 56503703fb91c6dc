"""Does training a reversible net take the memory of one block, however many it has, and the right gradients?

    uv run python benchmarks/reversible.py [--quick]

Memory is what the kernel says of a fresh process: its largest resident set during one forward and backward pass, less
its resident set before. That has all that anybody allocates, also inside of kernels; freed memory goes back to the
kernel at once (MALLOC_MMAP_THRESHOLD_). Weights are there before the pass; their gradients, one number a weight, have
to grow with the net, so that a pass for the images' gradient alone is measured too.
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
FLAT = 1.1  # times the memory of the shallowest net
AGREE = {torch.float64: 1e-8, torch.float32: 1e-4}


def net_of(blocks: int, memory: Memory, dtype: torch.dtype = torch.float32) -> BijectiveNet:
    """One stage, so that all blocks are alike; weights moved, so that couplings are not the identity."""
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


def passed(net: nn.Module, x: Tensor) -> Tensor:
    """One forward and backward pass, for the images and for whatever weights want a gradient."""
    net.zero_grad()
    x = x.detach().requires_grad_()
    semantic, nuisance, log_det = cast(BijectiveNet, net).encode_with_log_det(x)
    (
        semantic.logsumexp(1).mean() + nuisance.square().mean() - log_det.mean() / x[0].numel()
    ).backward()
    return cast(Tensor, x.grad)


# ─ memory ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def resident() -> int:
    """Bytes of this process that are in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def measure(blocks: int, memory: Memory, weights: bool, batch: int) -> None:
    """In a process of its own: print what a pass takes, and what of it are the weights' gradients, in bytes."""
    torch.set_num_threads(1)
    net, x = net_of(blocks, memory).requires_grad_(weights), images(batch)
    passed(net, x[:1])  # loads code
    net.zero_grad()
    before = resident()
    passed(net, x)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    gradients = sum(weight.grad.nbytes for weight in net.parameters() if weight.grad is not None)
    print(json.dumps({"peak": peak - before, "gradients": gradients}))


def measured(blocks: int, memory: Memory, weights: bool, batch: int) -> tuple[float, float]:
    """MiB that a pass takes in a fresh process, with and without the weights' gradients."""
    given = ["--measure", str(blocks), memory, str(int(weights)), str(batch)]
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "OMP_NUM_THREADS": "1"}
    printed = subprocess.run(
        [sys.executable, __file__, *given], env=environment, check=True, capture_output=True
    )
    found = json.loads(printed.stdout)
    return found["peak"] / MIB, (found["peak"] - found["gradients"]) / MIB


def memory_table(batch: int) -> tuple[Table, dict[str, bool]]:
    """What every depth takes, and whether reversible nets stay flat."""
    title = f"MiB of a pass over {batch} images: images' gradient alone · weights' too · the latter less themselves"
    table = Table("", *(f"{blocks} blocks" for blocks in DEPTHS), title=title, title_justify="left")
    held: dict[str, bool] = {}
    for memory in MEMORIES:
        alone = [measured(blocks, memory, False, batch)[0] for blocks in DEPTHS]
        both = [measured(blocks, memory, True, batch) for blocks in DEPTHS]
        cells = [
            f"{one:.1f} · {whole:.1f} · {rest:.1f}"
            for one, (whole, rest) in zip(alone, both, strict=True)
        ]
        table.add_row(memory, *cells)
        if memory == "reversible":
            for what, sizes in {"images": alone, "weights": [rest for _, rest in both]}.items():
                growth = sizes[-1] / sizes[0]
                held[
                    f"gradient for {what}: {DEPTHS[-1]} blocks at most {FLAT} x {DEPTHS[0]}: {growth:.2f}"
                ] = growth <= FLAT
    return table, held


# ─ gradients and time ─────────────────────────────────────────────────────────────────────────────────────────────────


def disagreement(blocks: int, dtype: torch.dtype, batch: int) -> tuple[float, float]:
    """How far the two gradients are apart in l2, relative: of all numbers as one vector, and of the worst weight.

    A ReLU that reads 0 up to rounding may be on in one of them and off in the other, which a small weight's shows.
    """
    x, found = images(batch).to(dtype), list[list[Tensor]]()
    for memory in MEMORIES:
        net = net_of(blocks, memory, dtype)
        of_images = passed(net, x)
        found.append(
            [
                of_images.flatten(),
                *(cast(Tensor, weight.grad).flatten() for weight in net.parameters()),
            ]
        )
    stored, ours = found
    apart = [
        ((a - b).norm() / b.norm()).item()
        for a, b in zip(ours, stored, strict=True)
        if b.norm() > 1e-6
    ]
    whole = (torch.cat(ours) - torch.cat(stored)).norm() / torch.cat(stored).norm()
    return whole.item(), max(apart)


def times(blocks: int, batch: int, rounds: int) -> dict[Memory, list[float]]:
    """Seconds of a pass in each round, in which both run, one first in turn."""
    nets, x = {memory: net_of(blocks, memory) for memory in MEMORIES}, images(batch)
    found: dict[Memory, list[float]] = {memory: [] for memory in MEMORIES}
    for turn in range(-1, rounds):
        for memory in MEMORIES[:: 1 if turn % 2 else -1]:
            start = time.perf_counter()
            passed(nets[memory], x)
            if turn >= 0:
                found[memory].append(time.perf_counter() - start)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="few images and rounds: does it run at all?"
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
    for dtype, most in AGREE.items():
        whole, worst = disagreement(DEPTHS[-1], dtype, min(batch, 16))
        told = f"{whole:.1e} (the worst weight's: {worst:.1e})"
        held[f"gradients of {DEPTHS[-1]} blocks agree to {most:g} in {dtype}: {told}"] = (
            whole <= most
        )
    found = times(DEPTHS[0], batch, 3 if options.quick else 7)
    medians = {memory: statistics.median(seconds) for memory, seconds in found.items()}
    ratio = statistics.median(ours / theirs for theirs, ours in zip(*found.values(), strict=True))
    shown = ", ".join(f"{memory} {1000 * seconds:.0f} ms" for memory, seconds in medians.items())
    console.print(
        f"time of a pass, {DEPTHS[0]} blocks, {batch} images: {shown}; reversible {ratio:.2f} x stored"
    )
    for text, good in held.items():
        console.print(f"{'held  ' if good else 'missed'}  {text}")
    return 0 if options.quick or all(held.values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
