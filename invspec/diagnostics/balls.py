"""The balls in which attacks search."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, cast

from torch import Tensor, nn

from invspec.data import Bounds
from invspec.kinds import Attack, Standardised
from invspec.ops.norms import ORDERS
from invspec.search.ball import Ball

ANYWHERE: Bounds = (-math.inf, math.inf)


def has_ball(attack: Attack) -> bool:
    """Whether an attack searches in a ball of positive radius, in another norm than l0."""
    return any(_can_ascend(settings) for settings in _settings(attack))


def ball_of(attack: Attack, model: nn.Module, bounds: Bounds) -> Ball:
    """The ball in which an attack searches, the first of several. Only where it has one."""
    settings = next(filter(_can_ascend, _settings(attack)))
    return Ball(settings.norm, settings.eps, bounds, _unit(settings, model))


def is_in_pixels(attack: Attack) -> bool:
    """Whether radii are in pixels, so that the balls are the same for every net."""
    return all(_space(settings) == "pixel" for settings in _settings(attack))


def covers(other: Attack, attack: Attack) -> bool:
    """Whether an attack searches every ball in which another one searches, or a larger one."""
    return all(
        any(_is_in(settings, larger) for larger in _settings(other))
        for settings in _settings(attack)
    )


def _is_in(settings: Any, larger: Any) -> bool:
    is_alike = settings.norm == larger.norm and _space(settings) == _space(larger)
    return is_alike and settings.eps <= larger.eps


def _space(settings: Any) -> str:
    return getattr(settings, "eps_space", "pixel")


def balls_of(attack: Attack, model: nn.Module) -> list[Ball]:
    """All balls of which an attack searches the union, in the box or out of it."""
    return [
        Ball(settings.norm, settings.eps, ANYWHERE, _unit(settings, model))
        for settings in _settings(attack)
    ]


def _can_ascend(settings: Any) -> bool:
    return settings.norm != "l0" and settings.eps > 0


def _unit(settings: Any, model: nn.Module) -> Tensor | None:
    """One unit of the radius in pixels, (1, C, 1, 1); None for radii in pixels."""
    if _space(settings) == "pixel":
        return None
    return cast(Standardised, model).pixel_std.view(1, -1, 1, 1)


def _settings(attack: Any) -> Iterator[Any]:
    """The attack, or those parts of it, which have eps and norm."""
    if getattr(attack, "norm", None) in ORDERS and hasattr(attack, "eps"):
        if attack.eps is not None:
            yield attack
        return
    for part in (*getattr(attack, "attacks", ()), *getattr(attack, "balls", ())):
        yield from _settings(part)
