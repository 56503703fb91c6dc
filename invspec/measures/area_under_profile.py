"""One number for a whole profile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar, Literal, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Examples, Scored
from invspec.errors import InvspecError, suggest
from invspec.kinds import Measure, plain
from invspec.ops.types import SHARES
from invspec.scoring.rows import mean

Share = Literal["rate_of_invariance", "robust_accuracy"]


class AreaUnderProfile(Measure):
    """Mean height of a profile: the area below it by the trapezoid rule, divided by the width of the sweep.

    The profile is the share of examples that keep their label as one setting of the attack grows: of predictions that
    stay (rate_of_invariance) or are right (robust_accuracy). Because the area is linear it is also the mean of the
    areas below the steps of single examples, which is how it is computed, so that comparisons are paired. 1 is a label
    that nothing in the sweep can change.

    Needs the sweep of one attack, in rising order. A setting within a setting is written with dots, like attack.eps.

    Raises: InvspecError where fewer than two values are swept, where not exactly one setting differs and along does
    not say which to take, and where its values are not rising numbers.
    """

    takes_sweep: ClassVar[bool] = True

    share: Share = Field(
        default="rate_of_invariance", description="height: predictions that stay, or that are right"
    )
    along: str | None = Field(
        default=None, description="the setting that grows; default: the one that differs"
    )

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        positions = self._positions([dict(settings(plain(dict(one.settings)))) for one in examples])
        index = examples[0].judged["index"]
        assert all(torch.equal(one.judged["index"], index) for one in examples), (
            "a sweep over different examples"
        )
        heights = torch.stack([self._keeps(one.judged) for one in examples]).double()
        return Scored([mean(area(heights, positions), index, within=SHARES)])

    def _keeps(self, judged: Mapping[str, Tensor]) -> Tensor:
        label = judged["prediction" if self.share == "rate_of_invariance" else "y"]
        return judged["prediction_adv"] == label

    def _positions(self, swept: Sequence[Mapping[str, Any]]) -> list[float]:
        """The values of the setting along which the profile runs."""
        if len(swept) < 2:
            raise InvspecError(
                "a profile of one value has no area", hint="sweep a setting of the attack"
            )
        name = self._named(swept)
        values = [one.get(name) for one in swept]
        numbers = [
            value
            for value in values
            if isinstance(value, int | float) and not isinstance(value, bool)
        ]
        if len(numbers) < len(values) or any(b <= a for a, b in pairwise(numbers)):
            raise InvspecError(
                f"{name} is {', '.join(map(str, values))}", hint="sweep rising numbers"
            )
        return [float(number) for number in numbers]

    def _named(self, swept: Sequence[Mapping[str, Any]]) -> str:
        known = sorted({name for one in swept for name in one})
        if self.along is not None:
            if self.along not in known:
                raise InvspecError(
                    f"the attack has no setting {self.along!r}", hint=suggest(self.along, known)
                )
            return self.along
        differing = [name for name in known if len({repr(one.get(name)) for one in swept}) > 1]
        if len(differing) != 1:
            found = " and ".join(differing) or "nothing"
            raise InvspecError(
                f"{found} differs along the sweep", hint="sweep one setting, or name it by `along`"
            )
        return differing[0]


def settings(nested: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Every setting by its dotted name; of an attack within an attack, its fields and, by its own name, which it is."""
    for name, value in nested.items():
        if not isinstance(value, dict):
            yield path + name, value
        elif {"class", "version", "fields"} <= value.keys():
            yield path + name, value["class"]
            yield from settings(cast(dict[str, Any], value["fields"]), f"{path}{name}.")
        else:
            yield from settings(cast(dict[str, Any], value), f"{path}{name}.")


def area(heights: Tensor, positions: Sequence[float]) -> Tensor:
    """Mean height of each of N profiles, heights (L, N) at L rising positions, by the trapezoid rule: (N,)."""
    return torch.trapezoid(heights, torch.tensor(positions, dtype=heights.dtype), dim=0) / (
        positions[-1] - positions[0]
    )
