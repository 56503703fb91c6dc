"""Triangles whose confidence is known."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from columns import filled
from pair_examples import Sigmoid, of_pairs
from shown import shown
from torch import Tensor, nn

from invspec.data import Examples
from invspec.errors import InvspecError
from invspec.measures import triangle
from invspec.measures.triangle import Triangle


class Constant(nn.Module):
    """The same logits for every image."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.tensor([0.7, 0.1, -0.3]).expand(len(x), -1)


def attacked(model: nn.Module, targets: int = 3) -> Examples:
    """Two sources of class 0, each with so many targets of class 1; final images are random."""
    rng = torch.Generator().manual_seed(1)
    images = torch.rand(2 + targets, 1, 2, 2, generator=rng)
    ends = [(source, 2 + target) for source in range(2) for target in range(targets)]
    y = torch.tensor([0, 0] + [1] * targets)
    return of_pairs(model, images, y, ends, torch.rand(2 * targets, 1, 2, 2, generator=rng))


def found(examples: Examples, model: nn.Module, **fields: Any) -> dict[str, float]:
    return {
        str(row.where["quantity"]): row.value
        for row in shown(Triangle(**fields).score(model, examples))
    }


def test_a_constant_model_keeps_the_sources_confidence_everywhere() -> None:
    p_s = torch.tensor([0.7, 0.1, -0.3]).softmax(0)[0].item()
    quantities = found(attacked(Constant()), Constant())
    assert (
        quantities["mean_confidence"]
        == quantities["edge_confidence"]
        == pytest.approx(p_s, rel=1e-6)
    )
    assert quantities["source_confidence"] == pytest.approx(p_s, rel=1e-6)
    assert [quantities[f"share_within_{drop}"] for drop in (0, 0.1, 0.2, 0.3)] == [0, 1, 1, 1]
    assert quantities["least_edge_margin"] == 0


def test_quantities_are_averages_over_triangles() -> None:
    """By a loop over integers, one image at a time."""
    model = Sigmoid(torch.tensor([6.0, -4.0, 3.0, 1.0]))
    pairs = attacked(model)
    expected: list[list[float]] = []
    for source in range(2):
        x, ends = pairs.clean.images.pixels[source], pairs.x_adv[3 * source : 3 * source + 3]
        label, p_s = (
            int(pairs.judged.prediction[3 * source]),
            pairs.judged.confidence[3 * source].item(),
        )
        for a, b in ((0, 1), (0, 2), (1, 2)):
            f = {
                (i, j): model(((10 - i - j) * x + i * ends[a] + j * ends[b])[None] / 10)
                .softmax(1)[0, label]
                .item()
                for i in range(11)
                for j in range(11 - i)
            }
            edge = [f[i, j] for i, j in f if i == 0 or j == 0]
            assert (len(f), len(edge)) == (66, 21)
            within = sum(value > p_s - 0.1 for value in f.values()) / 66
            expected.append([sum(f.values()) / 66, within, sum(edge) / 21, min(edge) - p_s])
    names = ("mean_confidence", "share_within_0.1", "edge_confidence", "least_edge_margin")
    quantities = found(pairs, model, eligible="all")
    assert [quantities[name] for name in names] == pytest.approx(
        torch.tensor(expected).mean(0).tolist(), abs=1e-6
    )


def test_every_quantity_has_an_outcome_for_each_source() -> None:
    model = Sigmoid(torch.tensor([6.0, 4.0, 3.0, 1.0]))
    for row in Triangle().score(model, attacked(model)).rows:
        assert row.outcomes is not None
        assert row.outcomes.index.tolist() == [0, 1]


def test_sources_are_read_across_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Sigmoid(torch.tensor([6.0, 4.0, 3.0, 1.0]))
    pairs = attacked(model, targets=4)
    whole = found(pairs, model)
    monkeypatch.setattr(triangle, "BATCH_SIZE", 3)
    assert found(pairs, model) == pytest.approx(whole, abs=1e-6)


def test_a_source_with_one_pair_has_no_triangle() -> None:
    with pytest.raises(InvspecError, match="no source has two pairs") as problem:
        found(attacked(Constant(), targets=1), Constant())
    assert "more targets" in problem.value.hint
    pairs = attacked(Constant(), targets=2)
    rows = torch.tensor([0, 1, 2])
    uneven = Examples(
        pairs.clean.take(rows),
        filled({k: v[rows] for k, v in vars(pairs.judged).items()}),
        {"x_adv": pairs.x_adv[rows]},
    )
    assert {row.n for row in shown(Triangle().score(Constant(), uneven))} == {1}


def test_misclassified_sources_count_only_if_all_are_eligible() -> None:
    pairs = attacked(Constant())
    wrong = Examples(
        pairs.clean, filled({**vars(pairs.judged), "y": pairs.judged.y + 1}), pairs.tensors
    )
    with pytest.raises(InvspecError, match="none of 6 pairs is eligible"):
        found(wrong, Constant())
    assert found(wrong, Constant(), **Triangle().smoke().model_dump())["least_edge_margin"] == 0
