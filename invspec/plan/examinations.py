"""Which nets and attacks of a plan are checked: all that a number rests on, once each."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice

from invspec.kinds import Attack, Check, Sample
from invspec.plan import coordinates
from invspec.plan.cells import Cell, Examination
from invspec.plan.sizes import size
from invspec.spec.resolved import Spec
from invspec.spec.schema import Coords, Net
from invspec.tasks import Examine, Perturb, Train, key

# Maximum number of images that a check gets, and of other nets with which one is compared.
IMAGES, OTHERS = 256, 3

Parts = tuple[Perturb, ...]
# the parts of each value of an attack's sweep, with its coordinates
Variants = dict[Parts, Coords]


@dataclass
class _Net:
    """A trained net: its coordinates, the samples that its numbers rest on, the attacks by label.

    A net that is only an oracle or a feature net is under no attack; a source of transfer attacks
    is under those.
    Samples are by their text.
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
    nets = _nets(spec, cells)
    alike = _alike(nets) if any(check.wants_others for check in spec.checks.values()) else {}
    return tuple(
        examination
        for train, net in nets.items()
        for examination in (*_of_net(spec, train, net), *_of_attacks(spec, train, net, alike))
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


def _of_attacks(
    spec: Spec, train: Train, net: _Net, alike: Mapping[Hashable, list[Parts]]
) -> Iterator[Examination]:
    for attack, variants in net.attacks.items():
        searched = {parts: coords for parts, coords in variants.items() if searches(_attack(parts))}
        if not searched:
            continue
        parts, swept = _median(searched)
        others = _others(parts, attack, alike) if alike else ()
        for label, check in spec.checks.items():
            if _applies(check, parts) and (others or not check.wants_others):
                compared = others if check.wants_others else ()
                sample = parts[0].sample
                goal = Examine(check, train, _first(parts), sample, IMAGES, compared)
                yield Examination(label, net.coords, goal, attack, swept)


def _applies(check: Check, parts: Parts) -> bool:
    """Whether a check is about an attack, and whether that can fail it.

    How an attack found its images is examined on the net where it did.
    """
    is_made_here = parts[0].source is None
    return (
        check.about_attack
        and check.applies(_attack(parts))
        and (is_made_here or check.about_images)
    )


def _alike(nets: Mapping[Train, _Net]) -> dict[Hashable, list[Parts]]:
    """The results of the same attack on nets that share data set and seed, ordered by their keys.

    Transfer attacks are left out: their images are the same for all nets.
    """
    alike: dict[Hashable, list[Parts]] = {}
    for net in nets.values():
        for label, variants in net.attacks.items():
            for parts in variants:
                if parts[0].source is None:
                    alike.setdefault(_kind(label, parts), []).append(parts)
    return {kind: sorted(of, key=lambda parts: key(parts[0].train)) for kind, of in alike.items()}


def _kind(label: str, parts: Parts) -> Hashable:
    first = parts[0]
    return label, first.attack, first.before, first.sample, first.train.dataset, first.train.seed


def _others(parts: Parts, label: str, alike: Mapping[Hashable, list[Parts]]) -> tuple[Parts, ...]:
    """The first results of the same attack on a few other nets."""
    if parts[0].source is not None:
        return ()
    others = (of for of in alike[_kind(label, parts)] if of[0].train != parts[0].train)
    return tuple(_first(of) for of in islice(others, OTHERS))


def _nets(spec: Spec, cells: Iterable[Cell]) -> dict[Train, _Net]:
    nets: dict[Train, _Net] = {}
    for cell in cells:
        samples = [parts[0].sample for parts in cell.goal.of]
        by_text = {sample.model_dump_json(): sample for sample in samples}
        if cell.goal.oracle is not None:
            named = spec.entries["measures"][str(cell.coords["measure"])].oracle
            oracle = nets.setdefault(cell.goal.oracle, _Net(_named_coords(named, cell)))
            oracle.samples |= by_text
        net = nets.setdefault(cell.goal.train, _Net(_net_coords(spec, cell)))
        net.samples |= by_text
        if cell.goal.train.features is not None:
            named = spec.entries["defences"][str(cell.coords["defence"])].feature_net
            features = nets.setdefault(cell.goal.train.features, _Net(_named_coords(named, cell)))
            features.samples |= by_text
        for attacked, parts in zip(cell.attacks, cell.goal.of, strict=True):
            net.attacks.setdefault(attacked.label, {}).setdefault(parts, dict(attacked.coords))
            if made := tuple(part.source for part in parts if part.source is not None):
                named = spec.entries["attacks"][attacked.label].source
                source = nets.setdefault(made[0].train, _Net(_named_coords(named, cell)))
                source.samples |= by_text
                source.attacks.setdefault(attacked.label, {}).setdefault(
                    made, dict(attacked.coords)
                )
    return nets


def _net_coords(spec: Spec, cell: Cell) -> Coords:
    """The labels of a cell's net, its swept fields and its seed."""
    labels = {part: str(cell.coords[part]) for part in ("dataset", "model", "defence")}
    entries = (spec.entries[f"{part}s"][label] for part, label in labels.items())
    names = (*labels, *(name for entry in entries for name in entry.coords), "seed")
    return {name: cell.coords[name] for name in names}


def _named_coords(net: Net | None, cell: Cell) -> Coords:
    """The coordinates of an oracle, a source or a feature net."""
    assert net is not None, "the spec names the net of such a score"
    fixed = {name: cell.coords[name] for name in ("dataset", "seed")}
    return {**fixed, "model": net.model, "defence": net.defence}


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
    others = tuple(tuple(_cut(part) for part in parts) for parts in goal.others)
    return replace(examination, goal=replace(goal, of=of, others=others))


def _cut(task: Perturb) -> Perturb:
    after = None if task.after is None else _cut(task.after)
    source = None if task.source is None else _cut(task.source)
    start, stop = task.part
    return replace(task, part=(start, min(stop, IMAGES)), after=after, source=source)
