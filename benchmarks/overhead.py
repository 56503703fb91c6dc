"""Do PGD, NSPGD and DDN cost as much here as in another checkout?

    python benchmarks/overhead.py --against PATH [--pairs 15]

Each checkout runs the same attacks on the same net and images in a process of its own, in turns.
Passes, operations and results are compared exactly, times by the ratio of the two runs of a pair.
The exit code is 1 if an attack takes more passes or operations here, gives another result, or is
slower, that is if the whole 95 % interval of its time ratio is above 1.02.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve()
NAMES = ("PGD", "NSPGD", "DDN")
# lower end of the time ratio up to which an attack is not slower
ALLOWED = 1.02
# operations that only create a view or metadata and launch no kernel
FREE = re.compile(
    r"aten::(_reshape_alias|_unsafe_view|alias|as_strided|detach|empty|empty_like|empty_strided|"
    r"expand|flatten|item|lift_fresh|narrow|new_empty|numpy_T|permute|reshape|resize_|result_type|"
    r"select|slice|split|squeeze|t|to|transpose|unbind|unsqueeze|view|view_as)"
)


def main() -> int:
    options = arguments()
    if options.worker:
        serve()
        return 0
    here, there = Worker(HERE.parents[1]), Worker(options.against.resolve())
    print(f"{options.pairs} pairs, here / {options.against}")
    results = [compare(name, here, there, options.pairs) for name in NAMES]
    here.close()
    there.close()
    return 0 if all(results) else 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--against", type=Path, help="root of the other checkout")
    parser.add_argument("--pairs", type=int, default=15, help="interleaved runs of each attack")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not (options.worker or options.against):
        parser.error("--against: give the root of another checkout")
    return options


def compare(name: str, here: Worker, there: Worker, pairs: int) -> bool:
    """Print the costs of one attack in both checkouts; returns whether those here are no larger."""
    ours, theirs = here.ask(f"count {name}"), there.ask(f"count {name}")
    for side in (here, there):
        side.ask(f"time {name}")  # the first run of a process is slower
    ratios: list[float] = []
    for pair in range(pairs):
        order = (here, there) if pair % 2 else (there, here)
        seconds = {side: side.ask(f"time {name}")["seconds"] for side in order}
        ratios.append(seconds[here] / seconds[there])
    low, high = median_interval(ratios)
    same = "same result" if ours["result"] == theirs["result"] else "OTHER RESULT"
    print(
        f"{name:6} passes {ours['passes']} / {theirs['passes']}, "
        f"operations {ours['operations']} / {theirs['operations']}, {same}, "
        f"time {statistics.median(ratios):.3f} [{low:.3f}, {high:.3f}]"
    )
    no_more = ours["operations"] <= theirs["operations"] and all(
        mine <= other for mine, other in zip(ours["passes"], theirs["passes"], strict=True)
    )
    return no_more and low <= ALLOWED and ours["result"] == theirs["result"]


def median_interval(values: list[float], confidence: float = 0.95) -> tuple[float, float]:
    """Interval of the median between two of the values; wide enough only if there are enough."""
    ordered, n = sorted(values), len(values)
    tail, rank = 0.5**n, 0
    while rank + 1 < n // 2 and 2 * (tail + math.comb(n, rank + 1) * 0.5**n) <= 1 - confidence:
        rank += 1
        tail += math.comb(n, rank) * 0.5**n
    return ordered[rank], ordered[-1 - rank]


class Worker:
    """A process that runs the attacks of one checkout."""

    def __init__(self, checkout: Path) -> None:
        # without the log level the profiler reports each start and stop
        environment = {**os.environ, "PYTHONPATH": str(checkout), "KINETO_LOG_LEVEL": "6"}
        self.process = subprocess.Popen(
            [sys.executable, str(HERE), "--worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )
        package = Path(self.ask("where")["package"])
        assert package.is_relative_to(checkout), f"{checkout}: imported {package}"

    def ask(self, command: str) -> dict[str, Any]:
        """Send a command and return its answer."""
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(f"{command}\n")
        stdin.flush()
        return json.loads(stdout.readline())

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def serve() -> None:
    """Answer commands from stdin: where, `count NAME` and `time NAME`."""
    import invspec

    attacks = load_attacks()
    for line in sys.stdin:
        command, *name = line.split()
        match command:
            case "where":
                answer = {"package": str(Path(invspec.__file__).parent)}
            case "count":
                answer = count(attacks[name[0]])
            case _:
                answer = timed(attacks[name[0]])
        print(json.dumps(answer), flush=True)


# attacks a net; returns x_adv
Run = Callable[[Any], Any]


def load_attacks() -> dict[str, Run]:
    import torch

    from invspec.attacks.ddn import DDN
    from invspec.attacks.nspgd import NSPGD
    from invspec.attacks.pgd import PGD
    from invspec.data import Batch
    from invspec.ops.draws import PerExample

    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    x, x_target = torch.rand(2, 64, 1, 28, 28, generator=generator)
    y = net()(x).argmax(1)
    # one example in eight is misclassified, which DDN must skip
    y[::8] = (y[::8] + 1) % 10
    batch = Batch(x, y, torch.arange(len(x)), x_target=x_target)

    def runner(attack: Any) -> Run:
        return lambda model: attack.perturb(model, batch, PerExample("overhead", batch.index)).x_adv

    return {
        "PGD": runner(PGD(eps=0.1, steps=60)),
        # with these settings examples stop at different steps
        "NSPGD": runner(NSPGD(steps=60, step_size=0.5, max_drop=5e-4, backtracks=2)),
        "DDN": runner(DDN(steps=60)),
    }


def net() -> Any:
    """A small convolutional net with random weights."""
    import torch
    from torch import nn

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = nn.Sequential(
            nn.Conv2d(1, 16, 5, stride=2),
            nn.ReLU(),
            nn.Conv2d(16, 32, 5, stride=2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(512, 10),
        )
    return layers.eval().requires_grad_(False)


def count(run: Run) -> dict[str, Any]:
    """Images of forward and backward passes, computing operations, and a digest of the result."""
    from torch.profiler import ProfilerActivity, profile

    model, passes = net(), [0, 0]

    def count_forward(module: Any, inputs: Any, logits: Any) -> None:
        passes[0] += len(logits)
        if inputs[0].requires_grad:
            inputs[0].register_hook(count_backward)

    def count_backward(gradient: Any) -> None:
        passes[1] += len(gradient)

    model.register_forward_hook(count_forward)
    x_adv = run(model)
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        run(net())
    names = [event.name for event in profiled.events() or ()]
    return {
        "passes": passes,
        "operations": sum(name.startswith("aten::") and not FREE.fullmatch(name) for name in names),
        "result": hashlib.sha256(x_adv.numpy().tobytes()).hexdigest(),
    }


def timed(run: Run) -> dict[str, float]:
    """CPU time of a run, which depends less on other work of the machine than wall time."""
    model = net()
    start = time.process_time()
    run(model)
    return {"seconds": time.process_time() - start}


if __name__ == "__main__":
    sys.exit(main())
