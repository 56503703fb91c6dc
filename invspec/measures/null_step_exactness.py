"""How exact a null-space step is, and how far it reaches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass
from typing import Any, cast

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from invspec.attacks.null_step import NullStep
from invspec.data import Examples, JudgedPairs, Row, Scored
from invspec.errors import InvspecError
from invspec.kinds import TwoLayer
from invspec.layers.two_layer import Weights, flattened
from invspec.ops.modules import device_of
from invspec.ops.types import MAGNITUDES, REALS, SHARE_DIFFERENCES, SHARES, Bounds, Range
from invspec.scoring.pairs import BATCH_SIZE, PairMeasure, eligible, placed_batches
from invspec.scoring.rows import exact, mean_of_pairs, quantile, share_of_pairs

RANGES: dict[str, Range] = {
    "rows": MAGNITUDES,
    "null_dimension": MAGNITUDES,
    "sign_flips": MAGNITUDES,
    "exact": SHARES,
    "logit_change": MAGNITUDES,
    "largest_logit_change": MAGNITUDES,
    "confidence_drop": SHARE_DIFFERENCES,
    "confidence_drop_clamped": SHARE_DIFFERENCES,
    "relative_distance": MAGNITUDES,
    "alpha_max": SHARES,
}


class NullStepExactness(PairMeasure):
    """The exactness of a null_step and its distance to the target, in float64 and before clamping.

    The steps are recomputed from the weights and the attack's settings, and clamped only for
    confidence_drop_clamped. A row for each quantity:

        rows                     rows of M, from the linear map and the held hidden units; mean
        null_dimension           pixels minus the rank of M; mean
        sign_flips               hidden units that the step switches on or off, by more than
                                 rounding; mean
        exact                    share of pairs without sign flips
        logit_change             the largest change of a logit; median
        largest_logit_change     the same; maximum over pairs
        confidence_drop          drop of the confidence in the source's predicted label; mean
        confidence_drop_clamped  the same after clamping to the pixel range; mean
        relative_distance        distance from the image reached to the target, divided by that
                                 from the source; mean
        alpha_max                multiple of v_p at which the first hidden unit flips, at most 1;
                                 median

    Means have a bootstrap interval over sources, medians Woodruff's over sources. A maximum
    describes these pairs only; its interval has no width. n counts sources.

    Raises: InvspecError where the attack is not null_step, and where no pair is eligible.
    """

    def range_of(self, quantity: str = "") -> Range:
        return RANGES.get(quantity, REALS)

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        (attacked,) = examples
        rows = eligible(attacked, self.eligible)
        columns, pairs = outcomes(model, attacked, rows), attacked.pairs.take(rows)
        return Scored([row_of(name, values, pairs) for name, values in columns.items()])


def row_of(name: str, values: Tensor, pairs: JudgedPairs) -> Row:
    """The row of one quantity, values (P,) of pairs: a share, a median, a maximum or a mean."""
    match name:
        case "exact":
            return share_of_pairs(values, pairs, quantity=name)
        case "logit_change" | "alpha_max":
            return quantile(values, pairs, 0.5, quantity=name)
        case "largest_logit_change":
            return exact(values.max().item(), len(pairs.source.unique()), quantity=name)
        case _:
            return mean_of_pairs(values, pairs, quantity=name)


@dataclass(frozen=True)
class Outcome:
    """What one step does; see NullStepExactness."""

    rows: float
    null_dimension: float
    sign_flips: float
    exact: float
    logit_change: float
    largest_logit_change: float
    confidence_drop: float
    confidence_drop_clamped: float
    relative_distance: float
    alpha_max: float


def outcomes(model: nn.Module, attacked: Examples, rows: Tensor) -> dict[str, Tensor]:
    """Every quantity of the pairs that count, rows (N,) bool, by name: (P,) float64."""
    attack, weights = attack_of(attacked.settings), Weights.of(cast(TwoLayer, model))
    quantities: list[tuple[float, ...]] = []
    for places, batch, _ in placed_batches(attacked, BATCH_SIZE):
        pairs = batch.take(rows[places])
        ends = (images.to(device_of(model)) for images in flattened(pairs))
        quantities += [
            astuple(outcome(attack, weights, x, x_target, batch.bounds))
            for x, x_target in zip(*ends, strict=True)
        ]
    columns = torch.tensor(quantities, dtype=torch.float64).unbind(1)
    return dict(zip(Outcome.__dataclass_fields__, columns, strict=True))


def attack_of(settings: Mapping[str, Any]) -> NullStep:
    """The null_step with these settings. Raises InvspecError if they are another attack's."""
    try:
        own = {name: value for name, value in settings.items() if name != "before"}
        return NullStep.model_validate(own)
    except ValidationError:
        raise InvspecError(
            "expected attack null_step, found another", hint="set `of` to a null_step attack"
        ) from None


def outcome(
    attack: NullStep, weights: Weights, x: Tensor, x_target: Tensor, bounds: Bounds
) -> Outcome:
    """What the step from x to x_target, (D,) float64, does."""
    step = attack.step(weights, x, x_target)
    reached = x + step.delta
    before, after, clamped = (
        weights.logits(image) for image in (x, reached, reached.clamp(*bounds))
    )
    label = before.argmax()
    confidence, confidence_after, confidence_clamped = (
        logits.softmax(0)[label].item() for logits in (before, after, clamped)
    )
    way, logit_change = (x_target - x).norm(), (after - before).abs().max().item()
    return Outcome(
        rows=step.rows,
        null_dimension=len(x) - step.rank,
        sign_flips=step.sign_flips,
        exact=step.sign_flips == 0,
        logit_change=logit_change,
        largest_logit_change=logit_change,
        confidence_drop=confidence - confidence_after,
        confidence_drop_clamped=confidence - confidence_clamped,
        relative_distance=((x_target - x - step.delta).norm() / way).item() if way > 0 else 0.0,
        alpha_max=min(step.alpha_max, 1.0),
    )
