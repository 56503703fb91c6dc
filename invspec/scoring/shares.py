"""Shares of examples with their Wilson intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from invspec.errors import InvspecError
from invspec.ops.stats import wilson

if TYPE_CHECKING:
    from torch import Tensor

    from invspec.data import Row, Scored


def proportion(outcomes: Tensor) -> Row:
    """Share of true outcomes (N,), bool or numbers in [0, 1], with its 95 % Wilson interval.

    Raises: InvspecError where there is no outcome.
    """
    from invspec.data import Row

    n = len(outcomes)
    if n == 0:
        raise InvspecError(
            "a share of no examples",
            hint="nothing was left to measure: widen the sample or `among`",
        )
    share = outcomes.double().mean().item()
    assert 0 <= share <= 1, f"a share of {share}"
    return Row(share, n, *wilson(share, n))


def scored(outcomes: Tensor, index: Tensor) -> Scored:
    """The score of a measure that is a share: outcomes (N,) bool of the examples index (N,)."""
    from invspec.data import Scored

    return Scored([proportion(outcomes)], {"each": outcomes.float(), "index": index.long()})
