"""Estimates of the numbers of two studies together, so that their differences are paired."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

from invspec.analysis.estimator import Estimator, setting
from invspec.analysis.readings import Group
from invspec.analysis.repeats import Repeats, elsewhere
from invspec.analysis.scopes import net_name
from invspec.analysis.trainings import Deviation, Repetition
from invspec.spec.schema import Scalar
from invspec.tasks import Train, draw_name, without_seed


@dataclass(frozen=True, eq=False)
class Joint(Estimator):
    """Estimates of the groups of two studies, A and B.

    A number of B has half examples of its own, so that it is not the number of A with the same
    name. A net that both trained apart is two nets, paired seed by seed, as they share all draws;
    a net that is one of `shared` is the same. Nets that differ only in their defence are paired if
    the specs of both say so.

    second: the groups of B. paired: those whose spec pairs its seeds. retrained: the nets, from
    seed 0, that A and B trained apart. reseeded: groups of B whose partners have other seeds; their
    nets count as other ones. apart: groups of B on other examples than those of their
    partners.
    """

    second: frozenset[Group] = frozenset()
    paired: frozenset[Group] = frozenset()
    retrained: frozenset[Train] = frozenset()
    reseeded: frozenset[Group] = frozenset()
    apart: frozenset[Group] = frozenset()

    def name(self, group: Group) -> str:
        """Text that names a number, another one for that of B."""
        own = super().name(group)
        return f"B {own}" if group in self.second else own

    def net(self, group: Group) -> str:
        """Text that names a net, another one where B trained it again."""
        own = super().net(group)
        is_other = group in self.reseeded or (
            group in self.second and _net(group) in self.retrained
        )
        return f"B {own}" if is_other else own

    def block(self, group: Group) -> str | None:
        """Text that names the nets that are paired seed by seed."""
        net = _net(group)
        if group in self.paired:
            return draw_name(net)
        return f"trained twice: {net_name(net)}" if net in self.retrained else None

    def repeats(self, group: Group) -> Repeats:
        """The outcomes of each seed, with weights of their own on examples that A has not."""
        own = super().repeats(group)
        return elsewhere(own) if group in self.apart else own

    def is_paired_by_seed(self, first: Group, second: Group) -> bool:
        """Whether the nets of two groups are paired seed by seed."""
        if (block := self.block(first)) is None or block != self.block(second):
            return False
        seeds, settings = zip(*map(_measured, (first, second)), strict=True)
        return seeds[0] == seeds[1] and settings[0] == settings[1]

    def _deviations(self, numbers: Mapping[Group, Repetition]) -> Mapping[Group, Deviation]:
        """The same number of the same net, which both have, counts once in the pool."""
        same: dict[Hashable, Group] = {}
        first = {
            group: same.setdefault((number.net, number.setting, number.seeds), group)
            for group, number in numbers.items()
        }
        distinct = {group: numbers[group] for group in same.values()}
        own = super()._deviations(distinct)
        return {group: own[twin] for group, twin in first.items() if twin in own}


def _net(group: Group) -> Train:
    return without_seed(group.present[0].cell.goal.train)


def _measured(group: Group) -> tuple[frozenset[Scalar], Hashable]:
    """The seeds of a group, and what is measured."""
    seeds = frozenset(reading.coords["seed"] for reading in group.present)
    return seeds, setting(group.present[0])
