"""DeepFool: passes, and the exact step on a linear net."""

from __future__ import annotations

import pytest
import torch
from minimal_norm_toys import attacked, batch_of, label, net
from torch import Tensor, nn

from invspec.attacks.deepfool import EXTRA, DeepFool, to_boundary
from invspec.data import Batch
from invspec.ops.norms import DUAL, size
from invspec.ops.types import Norm
from invspec.search.search import Search


def test_deepfool_spends_passes_only_until_an_example_is_fooled() -> None:
    model, batch = net(curved=10), batch_of()
    result = attacked(DeepFool(refine=0, candidates=2), model, batch)
    right = label(model, batch.x) == batch.y
    rounds = (result.forwards[right] - 2) / 2
    assert 1 <= rounds.min() < rounds.max() <= 50
    assert torch.equal(result.backwards[right], (2 * rounds).long())


class Linear(nn.Module):
    """logits = W x for flattened images."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1) @ self.weight.T


def linear() -> tuple[Linear, Batch]:
    """A net of four classes and images that it classifies correctly, without bounds."""
    generator = torch.Generator().manual_seed(0)
    model = Linear(torch.randn(4, 12, generator=generator))
    x = torch.randn(9, 3, 2, 2, generator=generator)
    return model, Batch(x, model(x).argmax(1), torch.arange(9), (-torch.inf, torch.inf))


def rivals_of(batch: Batch) -> Tensor:
    return torch.stack([(batch.y + other) % 4 for other in (1, 2, 3)], dim=1)


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_a_step_on_a_linear_net_reaches_just_past_the_nearest_face(norm: Norm) -> None:
    model, batch = linear()
    logits, faces = model(batch.x), list[Tensor]()
    for other in rivals_of(batch).unbind(1):
        gap = (logits.gather(1, batch.y[:, None]) - logits.gather(1, other[:, None])).squeeze(1)
        faces.append(gap / size(model.weight[batch.y] - model.weight[other], DUAL[norm]))
    nearest = torch.stack(faces).amin(0)
    step = to_boundary(Search(model, batch), batch.x, rivals_of(batch), norm)
    torch.testing.assert_close(size(step, norm), nearest + EXTRA)
    assert (label(model, batch.x + step) != batch.y).all()
    assert (label(model, batch.x + 0.99 * step) == batch.y).all()


def test_a_step_costs_one_forward_pass_and_a_backward_pass_per_rival() -> None:
    model, batch = linear()
    search = Search(model, batch)
    to_boundary(search, batch.x, rivals_of(batch), "l2")
    result = search.result()
    assert (set(result.forwards.tolist()), set(result.backwards.tolist())) == ({1}, {3})


def test_where_no_gradient_tells_rival_and_label_apart_there_is_no_step() -> None:
    _, batch = linear()
    step = to_boundary(Search(Linear(torch.ones(4, 12)), batch), batch.x, rivals_of(batch), "l2")
    assert torch.equal(step, torch.zeros_like(batch.x))


def test_the_overshoot_remains_without_refinement() -> None:
    model, batch = linear()
    step = to_boundary(Search(model, batch), batch.x, rivals_of(batch), "l2")
    result = attacked(DeepFool(overshoot=0.5, refine=0), model, batch)
    torch.testing.assert_close(result.x_adv - batch.x, 1.5 * step)
