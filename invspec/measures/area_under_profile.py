"""The area under an invariance or robustness profile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar, Literal, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Examples, Judged, Scored
from invspec.errors import InvspecError, suggest
from invspec.kinds import Measure, plain
from invspec.kinds.measure import Bound
from invspec.ops.types import SHARES, Range
from invspec.scoring.damage import by_change, by_label
from invspec.scoring.rows import mean

Share = Literal["rate_of_invariance", "robust_accuracy"]


class AreaUnderProfile(Measure):
    """Mean height of a profile: the area under it by the trapezoid rule, divided by its width.

    The profile is the share of unchanged (rate_of_invariance) or correct (robust_accuracy)
    predictions as one setting of the attack grows. The area is linear in the shares, so it is the
    mean of the areas under the profiles of single examples, and comparisons are paired. 1 means
    that all predictions are unchanged, or correct, over the whole sweep.

    Needs one attack with one setting swept over rising values. A nested setting has a dotted name,
    like attack.eps.

    Raises: InvspecError where fewer than two values are swept, where not exactly one setting
    differs and `along` is not set, where `along` is not a setting of the attack, and where its
    values are not rising numbers.
    """

    takes_sweep: ClassVar[bool] = True
    wants_model: ClassVar[bool] = False

    share: Share = Field(
        default="rate_of_invariance",
        description="height of the profile: the share of unchanged or of correct predictions",
    )
    along: str | None = Field(
        default=None, description="the swept setting; default: the only one that differs"
    )

    @property
    def bound(self) -> Bound:
        return "upper"

    def range_of(self, quantity: str = "") -> Range:
        return SHARES

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        swept = [dict(settings(plain(dict(attacked.settings)))) for attacked in examples]
        positions, index = self._positions(swept), examples[0].judged.index
        assert all(torch.equal(attacked.judged.index, index) for attacked in examples), (
            "a sweep over different examples"
        )
        heights = torch.stack([self._kept(attacked.judged) for attacked in examples]).double()
        return Scored([mean(mean_heights(heights, positions), index, within=SHARES)])

    def damage(self, model: nn.Module, attacked: Examples) -> Tensor:
        worse = by_change if self.share == "rate_of_invariance" else by_label
        return worse(attacked.judged)

    def _kept(self, judged: Judged) -> Tensor:
        return ~judged.changed if self.share == "rate_of_invariance" else judged.correct_adv

    def _positions(self, swept: Sequence[Mapping[str, Any]]) -> list[float]:
        """The values of the swept setting."""
        if len(swept) < 2:
            raise InvspecError(
                "a profile needs at least two values, found one",
                hint="sweep a setting of the attack",
            )
        name = self._named(swept)
        values = [fields.get(name) for fields in swept]
        numbers = [
            value
            for value in values
            if isinstance(value, int | float) and not isinstance(value, bool)
        ]
        if len(numbers) < len(values) or any(b <= a for a, b in pairwise(numbers)):
            raise InvspecError(
                f"expected rising values of {name}, found {', '.join(map(str, values))}",
                hint="sweep rising numbers",
            )
        return [float(number) for number in numbers]

    def _named(self, swept: Sequence[Mapping[str, Any]]) -> str:
        known = sorted({name for fields in swept for name in fields})
        if self.along is not None:
            if self.along not in known:
                raise InvspecError(
                    f"the attack has no setting {self.along!r}", hint=suggest(self.along, known)
                )
            return self.along
        # repr, because 1, 1.0 and True are equal
        differing = [name for name in known if len({repr(f.get(name)) for f in swept}) > 1]
        if len(differing) != 1:
            raise InvspecError(
                "expected one setting to differ along the sweep, "
                f"found {' and '.join(differing) or 'none'}",
                hint="sweep one setting, or set `along` to its name",
            )
        return differing[0]


def settings(nested: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every setting with its dotted name; for an inner attack, its class and its fields."""
    for name, value in nested.items():
        if not isinstance(value, dict):
            yield path + name, value
        elif {"class", "version", "fields"} <= value.keys():
            yield path + name, value["class"]
            yield from settings(cast(dict[str, Any], value["fields"]), f"{path}{name}.")
        else:
            yield from settings(cast(dict[str, Any], value), f"{path}{name}.")


def mean_heights(heights: Tensor, positions: Sequence[float]) -> Tensor:
    """Mean height of each of N profiles, heights (L, N) at L rising positions: (N,)."""
    width = positions[-1] - positions[0]
    return torch.trapezoid(heights, torch.tensor(positions, dtype=heights.dtype), dim=0) / width
