"""Feature nets: a training that names one must be able to use it, and it must be one net."""

from __future__ import annotations

from collections.abc import Iterator

from invspec.errors import SpecError
from invspec.kinds import FeatureTraining
from invspec.plan.validation.attacks import net_problems
from invspec.spec.resolved import Resolved, Spec


def problems(spec: Spec) -> Iterator[SpecError]:
    """Problems of the feature nets that defences name."""
    for label, defence in spec.entries["defences"].items():
        if defence.feature_net is None:
            continue
        path = ("defences", label, "feature_net")
        if not _takes_features(defence):
            message = f"defence {label} compares no images by the features of a second net"
            hint = "remove it, or use a defence such as lpips_ccat with `distance: laidlaw_self`"
            yield SpecError(message, hint=hint, path=path)
            continue
        wrong = list(net_problems(spec, defence.feature_net, "feature net", path))
        yield from wrong
        own = defence.feature_net.defence
        if not wrong and spec.entries["defences"][own].feature_net is not None:
            message = f"the feature net must have none of its own; defence {own} names one"
            yield SpecError(message, path=(*path, "defence"))


def _takes_features(defence: Resolved) -> bool:
    methods = [variant.method for variant in defence.variants]
    return all(isinstance(method, FeatureTraining) and method.takes_features for method in methods)
