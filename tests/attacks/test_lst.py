from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from invspec.attacks.lst import LST
from invspec.data import Batch, PathPromise, Perturbed
from invspec.ops.draws import PerExample
from invspec.ops.norms import size
from invspec.scoring.paths import verify_path

N, SHAPE, CLASSES = 10, (1, 6, 6), 3


class Net(nn.Module):
    """A net of fixed random weights that records its inputs."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            self.layers = nn.Sequential(
                nn.Flatten(), nn.Linear(36, 24), nn.Tanh(), nn.Linear(24, CLASSES)
            )
        self.seen: list[Tensor] = []
        self.eval().requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x.detach().clone())
        return 4 * self.layers(x - 0.5)


def pairs() -> Batch:
    generator = torch.Generator().manual_seed(1)
    x, x_target = (
        (1.6 * torch.rand(N, *SHAPE, generator=generator) - 0.3).clamp(0, 1) for _ in range(2)
    )
    return Batch(
        x.double(), torch.zeros(N, dtype=torch.int64), torch.arange(N), x_target=x_target.double()
    )


def walked(attack: LST, model: nn.Module | None = None) -> Perturbed:
    batch = pairs()
    return attack.perturb(model or Net().double(), batch, PerExample("task", batch.index))


def by_the_paper(attack: LST, steps: int) -> Tensor:
    """The paper's update, one example at a time, with the gradient of the cross-entropy itself."""
    net, batch, images = Net().double(), pairs(), []
    for x, x_target in zip(batch.x[:, None], batch.targets[:, None], strict=True):
        y, p_s = net(x).argmax(1), net(x).softmax(1).amax()
        nudge = torch.zeros_like(x)
        for _ in range(steps):
            leaf = x.clone().requires_grad_()
            (j,) = torch.autograd.grad(nn.functional.cross_entropy(net(leaf), y), leaf)
            v = x_target - x
            v_perp = v - (j * v).sum() / (j * j).sum() * j
            nudge = (nudge + attack.nudge / 2 * j).clamp(-attack.nudge, attack.nudge)
            proposal = (x + attack.step_size * v_perp - nudge).clamp(0, 1)
            if p_s - net(proposal).softmax(1)[0, y] < attack.max_drop:
                x = proposal
            elif attack.reset_nudge:
                nudge = torch.zeros_like(x)
        images.append(x)
    return torch.cat(images)


@pytest.mark.parametrize("reset_nudge", [False, True])
@pytest.mark.parametrize("max_drop", [0.2, 1e-3])
def test_the_update_is_that_of_the_authors(reset_nudge: bool, max_drop: float) -> None:
    attack = LST(
        random_start=0,
        steps=30,
        step_size=0.1,
        max_drop=max_drop,
        nudge=0.02,
        reset_nudge=reset_nudge,
    )
    torch.testing.assert_close(walked(attack).x_adv, by_the_paper(attack, 30), rtol=0, atol=1e-10)


def test_without_a_nudge_an_example_stops_at_its_first_refusal() -> None:
    attack = LST(random_start=0, steps=40, step_size=0.1, max_drop=0.02, nudge=0)
    result = walked(attack)
    assert result.forwards.min() < 41
    torch.testing.assert_close(result.x_adv, by_the_paper(attack, 40), rtol=0, atol=1e-10)


def test_with_a_nudge_no_example_stops_and_they_end_closer_to_the_target() -> None:
    nudged, plain = (
        walked(LST(step_size=0.05, steps=100, max_drop=0.02, nudge=nudge)) for nudge in (1e-3, 0)
    )
    assert set(nudged.forwards.tolist()) == {1 + 1 + 100}
    assert set(nudged.backwards.tolist()) == {1 + 1 + 99}
    distances = [size(result.x_adv - pairs().targets, "l2").mean() for result in (nudged, plain)]
    assert distances[0] < distances[1]


def test_the_path_contains_the_random_start_and_keeps_the_confidence() -> None:
    result, batch = walked(LST(steps=20, step_size=0.1, keep_path=True)), pairs()
    assert result.path is not None
    assert result.path.shape == (1 + 1 + 20, *batch.x.shape)
    assert torch.equal(result.path[0], batch.x)
    assert torch.equal(result.path[-1], result.x_adv)
    noise = result.path[1] - batch.x
    assert 0 < noise.abs().max() <= 2 / 255
    probs = Net().double()(batch.x).softmax(1)
    check = verify_path(
        result.path.transpose(0, 1), Net().double(), probs.argmax(1), probs.amax(1), 0.2
    )
    assert check.min_margin.min() > 0


def test_a_start_that_loses_too_much_confidence_is_refused() -> None:
    result, batch = walked(LST(random_start=1, max_drop=1e-3, steps=1, keep_path=True)), pairs()
    assert result.path is not None
    stayed = (result.path[1] == batch.x).flatten(1).all(1)
    assert stayed.any()
    assert not stayed.all()


def test_the_defaults_are_those_of_the_published_command() -> None:
    attack = LST()
    assert (attack.step_size, attack.steps, attack.max_drop, attack.nudge) == (0.01, 400, 0.2, 2e-3)
    assert (attack.random_start, attack.strict, attack.reset_nudge) == (4 / 255, True, False)


def test_the_promise_has_no_longest_step() -> None:
    assert LST().path_promise == PathPromise(max_drop=0.2, longest_step=None, jumps=True)
    assert not LST(random_start=0).path_promise.jumps
