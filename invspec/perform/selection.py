"""Results of attacks as a score reads them: the worst of several, or those of some examples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from invspec.data import COSTS, JUDGED, PAIRED, Examples, judged_from, rows_of
from invspec.errors import InvspecError


class Worst(Mapping[str, Tensor]):
    """The tensors of several attacks on the same examples, each row from one of them.

    choice (N,) int64 is the attack of each row; passes are summed over all attacks. Paths and
    unrounded images are left out.
    """

    def __init__(self, attacks: Sequence[Mapping[str, Tensor]], choice: Tensor) -> None:
        self.attacks, self.choice = attacks, choice
        self.names = [name for name in attacks[0] if name in (*JUDGED, *PAIRED, "x_adv")]

    def rows(self, name: str, start: int, stop: int) -> Tensor:
        """Rows [start, stop) of a tensor; reads no others."""
        return self._joined(name, slice(start, stop), lambda of: rows_of(of, name, start, stop))

    def _joined(
        self, name: str, rows: slice, read: Callable[[Mapping[str, Tensor]], Tensor]
    ) -> Tensor:
        first, *others = self.attacks
        joined = read(first).clone()
        for place, attack in enumerate(others, start=1):
            if name in COSTS:
                joined += read(attack)
            else:
                here = self.choice[rows] == place
                joined[here] = read(attack)[here]
        return joined

    def __getitem__(self, name: str) -> Tensor:
        if name not in self.names:
            raise KeyError(name)
        return self._joined(name, slice(None), lambda of: of[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


class Taken(Mapping[str, Tensor]):
    """The tensors of some examples, at rising positions (M,) int64."""

    def __init__(self, tensors: Mapping[str, Tensor], positions: Tensor) -> None:
        self.tensors, self.positions = tensors, positions

    def rows(self, name: str, start: int, stop: int) -> Tensor:
        """Rows [start, stop) of a tensor; reads none before the first and after the last."""
        positions = self.positions[start:stop]
        if not len(positions):
            return rows_of(self.tensors, name, 0, 0)
        first, last = int(positions[0]), int(positions[-1])
        return rows_of(self.tensors, name, first, last + 1)[positions - first]

    def __getitem__(self, name: str) -> Tensor:
        return self.tensors[name][self.positions]

    def __iter__(self) -> Iterator[str]:
        return iter(self.tensors)

    def __len__(self) -> int:
        return len(self.tensors)


def worst(attacks: Sequence[Examples], damages: Sequence[Tensor]) -> Examples:
    """For each example, the result of the attack with most damage (N,), the first one at ties."""
    first, *others = attacks
    assert all(torch.equal(other.judged.index, first.judged.index) for other in others), (
        "the worst case over attacks on different examples"
    )
    choice = torch.stack([damage.double() for damage in damages]).argmax(0)
    tensors = Worst([attacked.tensors for attacked in attacks], choice)
    settings = {
        name: value
        for name, value in first.settings.items()
        if all(name in other.settings and other.settings[name] == value for other in others)
    }
    judged = judged_from(Worst([vars(attacked.judged) for attacked in attacks], choice))
    return replace(first, judged=judged, tensors=tensors, settings=settings, path_promise=None)


def correct_in_all(nets: Sequence[Examples]) -> Tensor:
    """Positions (M,) of the examples whose clean image all of the nets classify correctly.

    Raises: InvspecError if there are none.
    """
    correct = torch.stack([net.judged.correct for net in nets]).all(0)
    if not correct.any():
        raise InvspecError(
            f"none of {len(correct):,} examples is classified correctly by all {len(nets)} nets",
            hint="remove `correct_in_all`, or train the nets longer",
        )
    return correct.nonzero().squeeze(1)


def taken(examples: Examples, positions: Tensor) -> Examples:
    """The results for some of the examples."""
    return replace(
        examples,
        clean=examples.clean.take(positions),
        judged=examples.judged.take(positions),
        tensors=Taken(examples.tensors, positions),
    )
