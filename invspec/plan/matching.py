"""Which cells of one study belong to which of another: those of equal coordinates, or as one says.

A match is written as `A=B`. Both sides are a label, which is then renamed wherever it stands, or
the value of a coordinate: `plain=standard`, `pgd.eps:0.1=0.2`, and `pgd.eps:0.1=` where the other
study does not sweep the field.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from invspec.errors import SpecError, suggest
from invspec.plan import coordinates
from invspec.spec.labels import Scalar

Coords = Mapping[str, Scalar]
# places in two lists of cells, None where a cell has no partner
Places = tuple[int | None, int | None]

OPTION = "--match"
EXAMPLE = "plain=standard renames a label, pgd.eps:0.1=0.2 matches two values of a sweep"
# the coordinates whose values are labels
LABELLED = ("dataset", "model", "defence", "attack", "measure")
WORST = "worst of "


@dataclass(frozen=True)
class Match:
    """What the second study has where the first has something else.

    coordinate names the swept field whose values are matched, None for a label that is renamed. An
    empty value of a swept field stands for cells that lack it.
    """

    text: str
    coordinate: str | None
    first: str
    second: str

    def renamed(self, coords: Coords) -> dict[str, Scalar]:
        """Coordinates of the first study in the words of the second."""
        if self.coordinate is None:
            return {self._name(name): self._value(name, value) for name, value in coords.items()}
        if not self.fits(coords, self.first):
            return dict(coords)
        others = coordinates.without(coords, [self.coordinate])
        return {**others, self.coordinate: self.second} if self.second else others

    def fits(self, coords: Coords, value: str) -> bool:
        """Whether a cell has a value of the coordinate; an empty one, if it lacks it."""
        assert self.coordinate is not None, "a label has no coordinate"
        if not value:
            return self.coordinate not in coords
        return self.coordinate in coords and coordinates.same(coords[self.coordinate], value)

    def _name(self, name: str) -> str:
        """A swept field belongs to its label: pgd.eps."""
        label, dot, path = name.partition(".")
        return f"{self.second}{dot}{path}" if dot and label == self.first else name

    def _value(self, name: str, value: Scalar) -> Scalar:
        if name not in LABELLED or not isinstance(value, str):
            return value
        # several attacks: worst of pgd, square; and those of a measure of several: clean+pgd
        start, separator = (WORST, ", ") if value.startswith(WORST) else ("", "+")
        labels = value.removeprefix(start).split(separator)
        return start + separator.join(self.second if own == self.first else own for own in labels)


def read(texts: Sequence[str]) -> list[Match]:
    """Matches from their texts. Raises: SpecError if one is not of the form A=B."""
    return [_read(text) for text in texts]


def _read(text: str) -> Match:
    left, equals, second = text.partition("=")
    coordinate, colon, first = left.rpartition(":")
    is_whole = (first or second) and coordinate if colon else first and second
    if not (equals and is_whole):
        raise SpecError(f"expected A=B, found {text!r}", where=OPTION, hint=EXAMPLE)
    return Match(text, coordinate or None, first, second)


def pairs(
    first: Sequence[Coords], second: Sequence[Coords], matches: Sequence[Match] = ()
) -> list[Places]:
    """The places of the cells of two studies that belong together, then those of the others.

    Cells that a match renames find their partner before those that have equal coordinates as they
    stand. A partner is given away once.

    Raises: SpecError for a match of which one study has nothing.
    """
    _check(first, second, matches)
    renamed = [_renamed(coords, matches) for coords in first]
    there = {_canonical(coords): place for place, coords in enumerate(second)}
    is_as_written = [_canonical(a) == _canonical(b) for a, b in zip(first, renamed, strict=True)]
    partners: dict[int, int] = {}
    for place in sorted(range(len(first)), key=is_as_written.__getitem__):
        partner = there.pop(_canonical(renamed[place]), None)
        if partner is not None:
            partners[place] = partner
    return [
        *((place, partners.get(place)) for place in range(len(first))),
        *((None, place) for place in sorted(there.values())),
    ]


def _renamed(coords: Coords, matches: Sequence[Match]) -> Coords:
    for match in matches:
        coords = match.renamed(coords)
    return coords


def _canonical(coords: Coords) -> frozenset[tuple[str, str]]:
    """Coordinates as a value: numbers that are equal as text or as numbers are the same."""
    return frozenset((name, _text(value)) for name, value in coords.items())


def _text(value: Scalar) -> str:
    number = coordinates.number(value)
    return str(value) if number is None else f"{number + 0.0:.9g}"


def _check(first: Sequence[Coords], second: Sequence[Coords], matches: Sequence[Match]) -> None:
    for match in matches:
        sides = ("A", first, match.first), ("B", second, match.second)
        for name, cells, value in sides:
            if not any(_has(match, coords, value) for coords in cells):
                raise _absent(match, name, cells, value)


def _has(match: Match, coords: Coords, value: str) -> bool:
    if match.coordinate is not None:
        return match.fits(coords, value)
    return value in _labels(coords)


def _labels(coords: Coords) -> Iterator[str]:
    """The labels of a cell, those of swept fields too."""
    for name, value in coords.items():
        if name in LABELLED:
            yield from str(value).removeprefix(WORST).replace("+", ", ").split(", ")
        elif "." in name:
            yield name.partition(".")[0]


def _absent(match: Match, side: str, cells: Collection[Coords], value: str) -> SpecError:
    name = match.coordinate
    if name is None:
        known = sorted({label for coords in cells for label in _labels(coords)})
        hint = suggest(value, known, "labels")
        return SpecError(f"{match.text}: {side} has no label {value!r}", where=OPTION, hint=hint)
    if not value:
        message = f"{match.text}: every cell of {side} has {name}"
        return SpecError(message, where=OPTION, hint=EXAMPLE)
    values = dict.fromkeys(coords[name] for coords in cells if name in coords)
    if values:
        hint = f"{side} has {coordinates.listing({name: list(values)})}"
        message = f"{match.text}: {side} has no {name} {value}"
        return SpecError(message, where=OPTION, hint=hint)
    swept = sorted({own for coords in cells for own in coords if "." in own})
    hint = suggest(name, swept, "swept fields") or f"{side} sweeps nothing; leave the value empty"
    return SpecError(f"{match.text}: {side} does not sweep {name}", where=OPTION, hint=hint)
