"""Feature nets: each must be one net, and have no feature net of its own."""

from __future__ import annotations

from collections.abc import Iterator

from invspec.errors import SpecError
from invspec.plan.validation.attacks import net_problems
from invspec.spec.resolved import Spec


def problems(spec: Spec) -> Iterator[SpecError]:
    """Problems of the feature nets that defences name."""
    for label, defence in spec.entries["defences"].items():
        if defence.feature_net is None:
            continue
        path = ("defences", label, "feature_net")
        wrong = list(net_problems(spec, defence.feature_net, "feature net", path))
        yield from wrong
        own = defence.feature_net.defence
        if not wrong and spec.entries["defences"][own].feature_net is not None:
            message = f"the feature net must have none of its own; defence {own} names one"
            yield SpecError(message, path=(*path, "defence"))
