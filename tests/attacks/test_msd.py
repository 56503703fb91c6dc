from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from invspec.attacks.msd import MSD, BallSettings
from invspec.attacks.pgd import PGD
from invspec.data import Batch
from invspec.ops.draws import PerExample
from invspec.ops.losses import LOSSES, Loss
from invspec.ops.norms import DUAL, size
from invspec.ops.types import Bounds, Norm
from invspec.registry.methods import make
from invspec.search.search import Search

pytestmark = pytest.mark.usefixtures("one_thread")
NORMS: tuple[Norm, ...] = ("linf", "l2", "l1")
EPS: dict[Norm, float] = {"linf": 0.1, "l2": 0.5, "l1": 1.5}
STEP: dict[Norm, float] = {"linf": 0.03, "l2": 0.15, "l1": 0.5}
UNION = tuple(BallSettings(norm=norm, eps=EPS[norm], step_size=STEP[norm]) for norm in NORMS)
ANYWHERE: Bounds = (-torch.inf, torch.inf)


@pytest.fixture
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Net(nn.Module):
    """A small nonlinear net that records all images of its passes."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.first, self.second = (
            torch.randn(shape, generator=generator) for shape in ((32, 24), (24, 4))
        )
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x.detach().clone())
        return (x.flatten(1) @ self.first).sin() @ self.second


class OwnWeights(nn.Module):
    """Logits 0 and w . x, with a separate w for each example, (B, D)."""

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.weights = weights

    def forward(self, x: Tensor) -> Tensor:
        rising = (x.flatten(1) * self.weights).sum(1)
        return torch.stack([torch.zeros_like(rising), rising], dim=1)


def images(n: int = 24) -> Batch:
    """Many pixels at 0 or 1, so that the box cuts the balls."""
    generator = torch.Generator().manual_seed(1)
    x = (2 * torch.rand(n, 2, 4, 4, generator=generator) - 0.5).clamp(0, 1)
    return Batch(x, torch.randint(4, (n,), generator=generator), torch.arange(n))


def draws(batch: Batch) -> PerExample:
    return PerExample("task", batch.index)


def losses(x: Tensor, y: Tensor, loss: Loss = "ce") -> Tensor:
    return LOSSES[loss](Net()(x), y)


@pytest.mark.parametrize("norm", NORMS)
def test_with_a_single_ball_it_takes_the_steps_of_pgd(norm: Norm) -> None:
    batch, own, pgds = images(), Net(), Net()
    balls = tuple(
        ball if ball.norm == norm else ball.model_copy(update={"eps": 0.0}) for ball in UNION
    )
    MSD(balls=balls, steps=6, sparsity=(3, 3)).perturb(own, batch, draws(batch))
    sparse = {"sparsity": 3} if norm == "l1" else {}
    pgd = PGD(eps=EPS[norm], norm=norm, steps=6, step_size=STEP[norm], random_start=False, **sparse)
    last = pgd.perturb(pgds, batch, draws(batch)).x_adv
    assert len(own.seen) == 7
    for mine, theirs in zip(own.seen, [*pgds.seen, last], strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-6)


@pytest.mark.parametrize("eps", [(0.05, 0.1, 0.1), (0.05, 0.3, 0.1), (0.05, 0.1, 0.9)], ids=NORMS)
def test_on_a_linear_model_the_loss_is_the_best_of_three_closed_forms(
    eps: tuple[float, float, float],
) -> None:
    """Steps as long as the radius reach the optimum in one: eps times the dual norm of w."""
    w = torch.randn(1, 16, generator=torch.Generator().manual_seed(0))
    batch = Batch(torch.rand(8, 1, 4, 4), torch.arange(8) % 2, torch.arange(8), ANYWHERE)
    radii = dict(zip(NORMS, eps, strict=True))
    gains = {norm: radii[norm] * float(size(w, DUAL[norm])) for norm in NORMS}
    balls = tuple(BallSettings(norm=norm, eps=radii[norm], step_size=radii[norm]) for norm in NORMS)
    model = OwnWeights(w)
    x_adv = MSD(balls=balls, steps=3, sparsity=(1, 1)).perturb(model, batch, draws(batch)).x_adv
    away = torch.where(batch.y == 0, 1.0, -1.0)
    gained = away * (model(x_adv) - model(batch.x))[:, 1]
    torch.testing.assert_close(gained, torch.full((8,), max(gains.values())), rtol=0, atol=1e-5)
    # otherwise the ids would not name the winner
    assert sorted(gains.values())[-1] > 1.05 * sorted(gains.values())[-2]


def test_each_example_moves_within_the_ball_where_its_own_loss_rises_most() -> None:
    """With one weight l1 gains most, with four l2, with sixteen linf."""
    weights = torch.stack([(torch.arange(16) < count).float() for count in (1, 4, 16)])
    radii: dict[Norm, float] = {"l1": 0.21, "l2": 0.15, "linf": 0.05}
    balls = tuple(BallSettings(norm=norm, eps=eps, step_size=eps) for norm, eps in radii.items())
    batch = Batch(torch.full((3, 1, 4, 4), 0.5), torch.zeros(3, dtype=torch.int64), torch.arange(3))
    result = MSD(balls=balls, steps=1, sparsity=(1, 1)).perturb(
        OwnWeights(weights), batch, draws(batch)
    )
    expected = weights * torch.tensor([[0.21], [0.15 / 2], [0.05]])
    torch.testing.assert_close((result.x_adv - batch.x).flatten(1), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("compat", [False, True])
def test_an_answer_is_in_one_of_the_balls_and_in_the_box(compat: bool) -> None:
    batch = images(64)
    x_adv = MSD(balls=UNION, steps=10, compat=compat).perturb(Net(), batch, draws(batch)).x_adv
    lengths = {norm: size((x_adv - batch.x).double(), norm) for norm in NORMS}
    inside = torch.stack([lengths[norm] <= EPS[norm] + 1e-6 for norm in NORMS])
    assert inside.any(0).all()
    assert not inside.all(0).all()
    assert 0 <= x_adv.min() <= x_adv.max() <= 1


@pytest.mark.parametrize("loss", LOSSES)
def test_the_answer_is_the_image_of_largest_loss_on_the_way(loss: Loss) -> None:
    """Also for negative losses; steps are so long that the last image is not the best."""
    batch, net = images(64), Net()
    long = tuple(ball.model_copy(update={"step_size": 2 * ball.eps}) for ball in UNION)
    x_adv = MSD(balls=long, steps=5, loss=loss).perturb(net, batch, draws(batch)).x_adv
    values = torch.stack([losses(x, batch.y, loss) for x in net.seen])
    torch.testing.assert_close(losses(x_adv, batch.y, loss), values.amax(0))
    assert (values[-1] < values.amax(0)).any()
    assert torch.equal(net.seen[0], batch.x)


@pytest.mark.parametrize(("active", "forwards"), [(3, 4 * 5 + 1), (2, 3 * 5 + 1), (1, 5 + 1)])
def test_passes_by_number_of_balls(active: int, forwards: int) -> None:
    batch, net = images(), Net()
    result = MSD(balls=UNION[:active], steps=5).perturb(net, batch, draws(batch))
    assert set(result.forwards.tolist()) == {len(net.seen)} == {forwards}
    assert set(result.backwards.tolist()) == {5}


def test_with_every_radius_0_it_returns_x_and_skips_the_model() -> None:
    batch, net = images(), Net()
    balls = tuple(BallSettings(norm=norm, eps=0.0) for norm in NORMS)
    result = MSD(balls=balls).perturb(net, batch, draws(batch))
    assert torch.equal(result.x_adv, batch.x)
    assert (int(result.forwards.sum()), int(result.backwards.sum()), len(net.seen)) == (0, 0, 0)


def test_the_number_of_pixels_in_an_l1_step_is_drawn_for_each_step_and_example() -> None:
    batch = Batch(torch.full((200, 2, 4, 4), 0.5), torch.arange(200) % 4, torch.arange(200))
    net = Net()
    MSD(balls=(BallSettings(norm="l1", eps=9, step_size=0.1),), steps=2, sparsity=(3, 6)).perturb(
        net, batch, draws(batch)
    )
    moves = [later - before for before, later in zip(net.seen, net.seen[1:], strict=False)]
    counts = [(move.abs() > 1e-6).flatten(1).sum(1) for move in moves]
    assert all(set(count.tolist()) == {3, 4, 5, 6} for count in counts)
    assert not torch.equal(*counts)
    torch.testing.assert_close(size(moves[0], "l1"), torch.full((200,), 0.1))


@pytest.mark.parametrize("steps", [5, 10])
def test_the_default_step_size_is_two_and_a_half_radii_over_the_number_of_steps(steps: int) -> None:
    batch, net = Batch(torch.full((4, 2, 4, 4), 0.5), torch.arange(4), torch.arange(4)), Net()
    MSD(balls=(BallSettings(norm="l2", eps=0.4),), steps=steps).perturb(net, batch, draws(batch))
    torch.testing.assert_close(size(net.seen[1] - net.seen[0], "l2"), torch.full((4,), 1 / steps))


@pytest.mark.parametrize(
    ("compat", "expected"),
    [(False, [0.3, 0.0, 1.0, 1.0, 0.5, 0.5]), (True, [0.0, 0.0, 0.9, 1.0, 0.8, 0.8])],
    ids=["default", "compat"],
)
def test_compat_moves_no_black_pixel_and_none_without_room_for_the_step(
    compat: bool, expected: Any
) -> None:
    """Two pixels move by 0.3, of: black, black outward, 0.9, 1.0 outward, and two grey ones."""
    w, x = (
        torch.tensor([[9.0, -8.0, 7.0, 6.0, 5.0, 4.0]]),
        torch.tensor([0.0, 0.0, 0.9, 1.0, 0.5, 0.5]),
    )
    batch = Batch(x.view(1, 1, 2, 3), torch.zeros(1, dtype=torch.int64), torch.arange(1))
    ball = BallSettings(norm="l1", eps=0.6, step_size=0.6)
    attack = MSD(balls=(ball,), steps=1, sparsity=(2, 2), compat=compat)
    x_adv = attack.perturb(OwnWeights(w), batch, draws(batch)).x_adv
    torch.testing.assert_close(x_adv.flatten(), torch.tensor(expected), rtol=0, atol=1e-6)


def test_with_compat_no_loss_below_0_counts() -> None:
    """The margin stays below 0, the authors' initial maximum, so that no candidate is taken."""
    w, y = (
        torch.randn(6, 16, generator=torch.Generator().manual_seed(0)),
        torch.zeros(6, dtype=torch.int64),
    )
    batch = Batch(torch.full((6, 1, 4, 4), 0.5), y, torch.arange(6))

    class Sure(OwnWeights):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) + torch.tensor([100.0, 0.0])

    default, compat = (
        MSD(balls=UNION, steps=3, loss="margin", compat=compat)
        .perturb(Sure(w), batch, draws(batch))
        .x_adv
        for compat in (False, True)
    )
    assert torch.equal(compat, batch.x)
    margins = [LOSSES["margin"](Sure(w)(x), y) for x in (batch.x, default)]
    assert (margins[0] < margins[1]).all()
    assert (margins[1] < 0).all()


@pytest.mark.parametrize(("compat", "chosen"), [(False, 0.0), (True, 1.0)])
def test_the_first_of_equal_candidates_is_chosen_and_the_last_with_compat(
    compat: bool, chosen: float
) -> None:
    """The model ignores the image: both candidates have the same loss, above 0."""
    batch = Batch(torch.full((2, 1, 4, 4), 0.5), torch.zeros(2, dtype=torch.int64), torch.arange(2))
    candidates = [torch.zeros_like(batch.x), torch.ones_like(batch.x)]
    search = Search(OwnWeights(torch.zeros(2, 16)), batch)
    x_adv = MSD(compat=compat)._best_candidate(search, batch.x, candidates)
    assert (x_adv == chosen).all()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"sparsity": (5, 2)}, "expected sparsity as"),
        ({"sparsity": (0, 2)}, "expected sparsity as"),
        ({"balls": ()}, "balls"),
        ({"balls": ({"norm": "l3", "eps": 1},)}, "norm"),
        ({"balls": ({"norm": "l2", "eps": -1},)}, "eps"),
        ({"balls": ({"norm": "l2", "eps": 1, "step_size": 0},)}, "step_size"),
    ],
)
def test_contradictory_fields_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        MSD.model_validate(fields)


def test_balls_may_be_written_in_a_spec_and_the_cards_have_those_of_the_paper() -> None:
    made = make("attack", "msd", {"balls": [{"norm": "l2", "eps": "1/2"}]})
    assert made == MSD(balls=(BallSettings(norm="l2", eps=0.5),))
    for name, eps in (
        ("msd", {"l1": 10, "l2": 2, "linf": 0.3}),
        ("msd_cifar10", {"l1": 12, "l2": 0.5, "linf": 0.03}),
    ):
        card = make("attack", name, {})
        assert isinstance(card, MSD)
        assert {ball.norm: ball.eps for ball in card.balls} == eps
        assert hash(card) == hash(make("attack", name, {}))
