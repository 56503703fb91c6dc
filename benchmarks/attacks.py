"""How fast is linf PGD, compared with torchattacks, foolbox and the limit?

    INVSPEC_DATA=.data uv run --group bench python benchmarks/attacks.py [--quick]

The limit is a bare loop of one forward and one backward pass to the input per step, on weights that
need no gradient: no gradient attack needs less. All contestants run interleaved in one process, and
ratios are taken within a round, so that a temporary slowdown of the machine affects both sides.
With INVSPEC_DATA, the script also checks that a bfloat16 search is as strong as a float32 search.
"""

from __future__ import annotations

import statistics
import warnings
from collections.abc import Callable
from typing import Any

import foolbox
import torchattacks
from foolbox.models.pytorch import PyTorchModel
from rich.table import Table
from subjects import ADVERSARIAL, has_data, mnist_test, published, robust_accuracy
from timing import (
    CONSOLE,
    Case,
    Requirement,
    Times,
    arguments,
    bare,
    exit_code,
    ratios,
    spread,
    timed_cases,
)
from torch import Tensor, nn

from invspec.attacks.pgd import PGD
from invspec.ops.draws import PerExample
from invspec.perform.proxies import Bfloat16

LIMIT, LIMIT_LOW, OURS, OURS_LOW = "limit", "limit, bfloat16", "invspec", "invspec, bfloat16"
# multiple of the limit that PGD may take
ALLOWED = 1.06


def invspec_pgd(net: nn.Module, case: Case) -> Tensor:
    attack = PGD(eps=case.eps, steps=case.steps, step_size=case.step_size)
    return attack.perturb(net, case.batch, PerExample("benchmark", case.batch.index)).x_adv


def torchattacks_pgd(case: Case) -> None:
    torchattacks.PGD(case.net, eps=case.eps, alpha=case.step_size, steps=case.steps)(
        case.batch.x, case.batch.y
    )


def foolbox_pgd(case: Case) -> None:
    attack: Any = foolbox.attacks.LinfPGD(
        abs_stepsize=case.step_size, steps=case.steps, random_start=True
    )
    attack.run(PyTorchModel(case.net, bounds=(0, 1)), case.batch.x, case.batch.y, epsilon=case.eps)


def contestants(case: Case) -> dict[str, Callable[[Case], object]]:
    low = Bfloat16(case.net)
    return {
        LIMIT: lambda case: bare(case.net, case),
        OURS: lambda case: invspec_pgd(case.net, case),
        "torchattacks": torchattacks_pgd,
        "foolbox": foolbox_pgd,
        LIMIT_LOW: lambda case: bare(low, case),
        OURS_LOW: lambda case: invspec_pgd(low, case),
    }


def table(case: Case, times: Times) -> Table:
    title = (
        f"{case.name}: batch {len(case.batch)}, {case.steps} steps; "
        f"median of {len(times[LIMIT])} rounds ± spread"
    )
    result = Table(
        "contestant", "ms", "x its limit", "x the float32 limit", title=title, title_justify="left"
    )
    for name in times:
        own = LIMIT_LOW if name in (LIMIT_LOW, OURS_LOW) else LIMIT
        to_own, to_full = ratios(times, name, own), ratios(times, name, LIMIT)
        result.add_row(
            name,
            spread([1000 * value for value in times[name]], 1),
            spread(to_own, 3),
            spread(to_full, 3),
        )
    return result


def verdicts(times: Times) -> list[Requirement]:
    """Each requirement on the time of PGD, and whether it holds."""
    to_limit = statistics.median(ratios(times, OURS, LIMIT))
    held = [(f"at most {ALLOWED} x the limit: {to_limit:.3f}", to_limit <= ALLOWED)]
    for peer in ("torchattacks", "foolbox"):
        low, middle, _ = statistics.quantiles(ratios(times, OURS, peer), n=4, method="inclusive")
        held.append(
            (f"not slower than {peer} beyond the spread: {middle:.3f} x its time", low <= 1)
        )
    return held


def low_precision_verdict(n: int) -> Requirement:
    """Whether PGD in bfloat16 is as strong as in float32, judged in float32 on a robust net."""
    net, batch = published(ADVERSARIAL), mnist_test(n)
    case = Case("", net, batch, 0.3, 0.01, 40)
    full, low = (
        robust_accuracy(net, invspec_pgd(attacked, case), batch.y)
        for attacked in (net, Bfloat16(net))
    )
    text = (
        f"robust accuracy on {n} images, judged in float32: "
        f"float32 search {full:.4f}, bfloat16 search {low:.4f}"
    )
    return text, round(abs(full - low) * n) <= 1


def main() -> int:
    parser = arguments(__doc__)
    parser.add_argument(
        "--threads", type=int, default=1, help="torch threads; invspec runs CPU tasks with one"
    )
    options = parser.parse_args()
    # the peers raise warnings of their own
    warnings.simplefilter("ignore")
    held: list[Requirement] = []
    for case, times in timed_cases(options, contestants, options.threads):
        CONSOLE.print(table(case, times))
        held += [(f"{case.name}: {text}", holds) for text, holds in verdicts(times)]
    if has_data():
        held.append(low_precision_verdict(64 if options.quick else 512))
    return exit_code(held, options)


if __name__ == "__main__":
    raise SystemExit(main())
