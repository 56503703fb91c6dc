import pytest
import torch
from attack_toys import SHAPE, deployed
from torch import Tensor, nn

from invspec.diagnostics import gradients
from invspec.diagnostics.gradients import logits_and_slopes, logits_at, parts
from invspec.ops.losses import margin
from invspec.search.gradients import input_gradient


def images(n: int = 40) -> Tensor:
    return torch.rand(n, *SHAPE, generator=torch.Generator().manual_seed(0))


def test_large_images_pass_in_parts_and_none_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradients, "AT_ONCE", 20 * 2 * 8 * 8)
    model, x = deployed("pgd"), images()
    y = model(x).argmax(1)
    assert [(part.start, part.stop) for part in parts(x)] == [(0, 16), (16, 32), (32, 48)]
    logits, slopes = logits_and_slopes(model, margin, x, y)
    assert torch.allclose(logits, model(x), atol=1e-5)
    assert torch.allclose(slopes, input_gradient(model, margin, x, y), atol=1e-6)
    assert torch.equal(logits_at(model, x), logits)


def test_the_gradient_of_a_net_without_a_graph_is_0() -> None:
    class Cut(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.detach().flatten(1)[:, :3]

    logits, slopes = logits_and_slopes(Cut(), margin, images(), torch.zeros(40, dtype=torch.int64))
    assert logits.shape == (40, 3)
    assert not slopes.any()


def test_the_gradient_of_logits_that_do_not_use_the_image_is_0() -> None:
    weight = torch.ones(3, requires_grad=True)

    class Deaf(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return weight.expand(len(x), 3) * 2

    _, slopes = logits_and_slopes(Deaf(), margin, images(), torch.zeros(40, dtype=torch.int64))
    assert not slopes.any()
    assert weight.grad is None
