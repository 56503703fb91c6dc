"""What a verdict speaks of: all trainings, or only the nets at hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from invspec.analysis.readings import Group
from invspec.kinds import outline
from invspec.tasks import Train

# trained: another seed gives another net; published: the same net for every seed; closed_form: no
# weights, so the net is the whole population
NetKind = Literal["trained", "published", "closed_form"]

# trainings: the chance of training is in the interval, or there is none; nets: one net each, and
# nothing is known of other trainings
Scope = Literal["trainings", "nets"]

# the statistics in which the order of nets matters, not the numbers of two of them
_SIMPLE = ("value", "difference", "ratio", "sum", "least", "greatest")


def net_kind(train: Train) -> NetKind:
    """Where the chance of a net lies."""
    if train.model.weights_from == "none":
        return "closed_form"
    is_published = "published" in (train.model.weights_from, train.defence.weights_from)
    return "published" if is_published else "trained"


def net_name(train: Train) -> str:
    """Text that is the same for all seeds of a net, and differs between nets."""
    parts = [outline(part) for part in (train.dataset, train.model, train.defence)]
    return json.dumps(parts, sort_keys=True)


def nets_of(groups: Sequence[Group]) -> list[Train]:
    """The nets that groups were measured on, once each, with seed 0."""
    trains = (reading.cell.goal.train for group in groups for reading in group.readings)
    return list(dict.fromkeys(replace(train, seed=0) for train in trains))


def compares_nets(statistic: str, groups: Sequence[Group]) -> bool:
    """Whether a statistic, such as a rank correlation, runs along several nets."""
    return statistic not in _SIMPLE and len(nets_of(groups)) > 1
