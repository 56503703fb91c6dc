"""Positions along a path."""

from __future__ import annotations


def shares(vertices: int) -> list[float]:
    """The share of a path, from 0 to 1, that ends at each of its vertices.

    >>> shares(3)
    [0.0, 0.5, 1.0]
    """
    return [k / max(vertices - 1, 1) for k in range(vertices)]
