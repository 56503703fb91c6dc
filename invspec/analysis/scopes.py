"""What a verdict speaks of: all trainings, or only the nets at hand."""

from __future__ import annotations

import json
from collections.abc import Collection, Container, Iterable, Sequence
from typing import Literal

from invspec.analysis.readings import Group
from invspec.kinds import outline
from invspec.plan.picks import Profile, slices
from invspec.spec.trees import Leaf, Node
from invspec.tasks import Train, without_seed

# trained: another seed gives another net; published: the same net for every seed; closed_form: no
# weights, so the net is the whole population
NetKind = Literal["trained", "published", "closed_form"]

# trainings: the chance of training is in the interval, or there is none; nets: one net each, and
# nothing is known of other trainings
Scope = Literal["trainings", "nets"]

# the words in which the order of several points matters, not the numbers at two of them
_ORDERED = ("correlation", "least_step", "greatest_step", "dominance")


def net_kind(train: Train) -> NetKind:
    """Where the chance of a net lies."""
    if train.model.weights_from == "none":
        return "closed_form"
    is_published = "published" in (train.model.weights_from, train.defence.weights_from)
    return "published" if is_published else "trained"


def net_name(train: Train) -> str:
    """Text that is the same for all seeds of a net, and differs between nets."""
    nets = (train,) if train.features is None else (train, train.features)
    parts = [outline(part) for net in nets for part in (net.dataset, net.model, net.defence)]
    return json.dumps(parts, sort_keys=True)


def nets_of(groups: Iterable[Group]) -> list[Train]:
    """The nets that groups were measured on, once each, with seed 0."""
    trains = (reading.cell.goal.train for group in groups for reading in group.readings)
    return list(dict.fromkeys(map(without_seed, trains)))


def scope_of(groups: Iterable[Group], varied: Container[Group]) -> Scope:
    """All trainings where the chance of each is in its interval, or where there is none.

    varied are the groups whose chance of training is known.
    """
    covers_all = all(
        net_kind(net) == "closed_form" or (net_kind(net) == "trained" and group in varied)
        for group in groups
        for net in nets_of([group])
    )
    return "trainings" if covers_all else "nets"


def across_nets(node: Node, sides: Sequence[Profile[Group]]) -> list[Group]:
    """The groups of each trend, steps or dominance in a number that runs along several nets.

    sides are the groups of each leaf of the node. A trend along a field of an attack has the same
    net at all its points.
    """
    if node.word in _ORDERED and any(map(_changes_net, sides, _consumed(node))):
        return [group for side in sides for group in side.values()]
    groups: list[Group] = []
    start = 0
    for part in node.parts:
        stop = start + (len(part.leaves) if isinstance(part, Node) else isinstance(part, Leaf))
        if isinstance(part, Node):
            groups += across_nets(part, sides[start:stop])
        start = stop
    return groups


def _consumed(node: Node) -> list[set[str]]:
    """For each leaf, the coordinates that a trend or comparison of this very node runs along."""
    names = [name for name in (node.along, *node.across) if name is not None]
    reached = {name: {id(leaf) for leaf in node.reached(name)} for name in names}
    return [{name for name in names if id(leaf) in reached[name]} for leaf in node.leaves]


def _changes_net(side: Profile[Group], names: Collection[str]) -> bool:
    """Whether the points of a leaf along some coordinates are on other nets."""
    axes = [name for name in side.axes if name in names]
    return any(
        len({frozenset(nets_of([group])) for group in along.values()}) > 1
        for _, along in slices(side, axes)
    )
