"""Which nets and attacks of a plan are checked: all that a number rests on, once each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from invspec.kinds import Attack, Sample
from invspec.plan import coordinates
from invspec.plan.cells import Cell, Examination
from invspec.plan.sizes import size
from invspec.spec.resolved import Spec
from invspec.spec.schema import Coords
from invspec.tasks import Examine, Perturb, Train

# Maximum number of images that a check gets.
IMAGES = 256

Parts = tuple[Perturb, ...]
# the parts of each value of an attack's sweep, with its coordinates
Variants = dict[Parts, Coords]


@dataclass
class _Net:
    """A trained net: its coordinates, the samples that its numbers rest on, the attacks by label.

    A net that is only an oracle is under no attack. Samples are by their text.
    """

    coords: Coords
    samples: dict[str, Sample] = field(default_factory=dict[str, Sample])
    attacks: dict[str, Variants] = field(default_factory=dict[str, Variants])


def examinations(spec: Spec, cells: Iterable[Cell]) -> tuple[Examination, ...]:
    """Every check of every net that a number rests on, and of every attack that can fail it.

    Of the sweep of an attack, only the median value is examined.
    """
    if not spec.checks:
        return ()
    return tuple(
        examination
        for train, net in _nets(spec, cells).items()
        for examination in (*_of_net(spec, train, net), *_of_attacks(spec, train, net))
    )


def _of_net(spec: Spec, train: Train, net: _Net) -> Iterator[Examination]:
    sample = _largest(train, net.samples)
    for label, check in spec.checks.items():
        if not check.about_attack and (net.attacks or check.doubts == "everything"):
            yield Examination(label, net.coords, Examine(check, train, (), sample, IMAGES))


def _largest(train: Train, samples: Mapping[str, Sample]) -> Sample:
    """The sample of the most examples: the order of a spec must not choose what is examined."""
    alone = (sample.model_copy(update={"targets": None}) for sample in samples.values())
    return max(alone, key=lambda sample: (size(train.dataset, sample), sample.model_dump_json()))


def _of_attacks(spec: Spec, train: Train, net: _Net) -> Iterator[Examination]:
    for attack, variants in net.attacks.items():
        searched = {parts: coords for parts, coords in variants.items() if searches(_attack(parts))}
        if not searched:
            continue
        parts, swept = _median(searched)
        for label, check in spec.checks.items():
            if check.about_attack and check.applies(_attack(parts)):
                goal = Examine(check, train, _first(parts), parts[0].sample, IMAGES)
                yield Examination(label, net.coords, goal, attack, swept)


def _nets(spec: Spec, cells: Iterable[Cell]) -> dict[Train, _Net]:
    nets: dict[Train, _Net] = {}
    for cell in cells:
        samples = [parts[0].sample for parts in cell.goal.of]
        by_text = {sample.model_dump_json(): sample for sample in samples}
        if cell.goal.oracle is not None:
            oracle = nets.setdefault(cell.goal.oracle, _Net(_oracle_coords(spec, cell)))
            oracle.samples |= by_text
        net = nets.setdefault(cell.goal.train, _Net(_net_coords(spec, cell)))
        net.samples |= by_text
        for (label, coords), parts in zip(attacks_of(spec, cell), cell.goal.of, strict=True):
            net.attacks.setdefault(label, {}).setdefault(parts, coords)
    return nets


def _net_coords(spec: Spec, cell: Cell) -> Coords:
    """The labels of a cell's net, its swept fields and its seed."""
    labels = {part: str(cell.coords[part]) for part in ("dataset", "model", "defence")}
    entries = (spec.entries[f"{part}s"][label] for part, label in labels.items())
    names = (*labels, *(name for entry in entries for name in entry.coords), "seed")
    return {name: cell.coords[name] for name in names}


def _oracle_coords(spec: Spec, cell: Cell) -> Coords:
    oracle = spec.entries["measures"][str(cell.coords["measure"])].oracle
    assert oracle is not None, "the score has an oracle"
    fixed = {name: cell.coords[name] for name in ("dataset", "seed")}
    return {**fixed, "model": oracle.model, "defence": oracle.defence}


def attacks_of(spec: Spec, cell: Cell) -> list[tuple[str, Coords]]:
    """The attacks that a cell is of: label and swept fields of each."""
    labels = str(cell.coords["attack"]).split("+")
    entries = [spec.entries["attacks"][label] for label in labels]
    if len(cell.goal.of) > len(labels):  # the measure takes a whole sweep
        return [(labels[0], dict(variant.coords)) for variant in entries[0].variants]
    return [
        (label, {name: cell.coords[name] for name in entry.coords})
        for label, entry in zip(labels, entries, strict=True)
    ]


def searches(attack: Attack) -> bool:
    """Whether an attack looks at more than the clean image: its eps is not 0."""
    return getattr(attack, attack.sweep_field or "eps", None) != 0


def _attack(parts: Parts) -> Attack:
    return parts[0].attack


def _median(variants: Variants) -> tuple[Parts, Coords]:
    """The variant in the middle of a sweep, by the size of what it searches if that is swept."""

    def place(item: tuple[Parts, Coords]) -> tuple[float, str]:
        attack, coords = _attack(item[0]), item[1]
        searched = coordinates.number(getattr(attack, attack.sweep_field or "eps", None))
        return searched or 0.0, str(sorted(coords.items()))

    ordered = sorted(variants.items(), key=place)
    return ordered[len(ordered) // 2]


def _first(parts: Parts) -> Parts:
    """The parts that hold the first images."""
    return tuple(part for part in parts if part.part[0] < IMAGES)


def small(examination: Examination) -> Examination:
    """The same examination of an attack that runs on no other images than those of the check."""
    goal = examination.goal
    of = tuple(_cut(part) for part in goal.of)
    return replace(examination, goal=replace(goal, of=of))


def _cut(task: Perturb) -> Perturb:
    after = None if task.after is None else _cut(task.after)
    start, stop = task.part
    return replace(task, part=(start, min(stop, IMAGES)), after=after)
