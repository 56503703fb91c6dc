from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor, nn

from invspec.attacks.pgd import PGD
from invspec.data import Batch
from invspec.kinds import Standardised
from invspec.ops.draws import PerExample
from invspec.ops.losses import LOSSES, cross_entropy
from invspec.ops.norms import size
from invspec.ops.types import Norm

pytestmark = pytest.mark.usefixtures("one_thread")
NORMS: tuple[Norm, ...] = ("linf", "l2", "l1")
BUDGET: dict[Norm, float] = {"linf": 0.1, "l2": 0.4, "l1": 1.0}


@pytest.fixture(scope="module")
def trained() -> nn.Module:
    """A tiny net that classifies three noisy patterns."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Flatten(), nn.Linear(32, 24), nn.ReLU(), nn.Linear(24, 3))
    optimiser = torch.optim.SGD(net.parameters(), lr=0.5)
    batch = patterns(240)
    for _ in range(60):
        optimiser.zero_grad()
        F.cross_entropy(net(batch.x), batch.y).backward()
        optimiser.step()
    return net.eval().requires_grad_(False)


@pytest.fixture
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def patterns(n: int) -> Batch:
    generator = torch.Generator().manual_seed(1)
    means = 0.5 + 0.15 * torch.randn(3, 2, 4, 4, generator=generator)
    y = torch.arange(n) % 3
    return Batch(
        (means[y] + 0.1 * torch.randn(n, 2, 4, 4, generator=generator)).clamp(0, 1),
        y,
        torch.arange(n),
    )


def draws(batch: Batch) -> PerExample:
    return PerExample("task", batch.index)


def losses(model: nn.Module, x: Tensor, y: Tensor, loss: str = "ce") -> Tensor:
    return LOSSES[loss](model(x), y)


class Recorder(nn.Module):
    """Records the images of all passes."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x.detach().clone())
        return self.model(x)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("norm", NORMS)
def test_the_loss_of_every_example_is_higher_than_at_its_start(
    trained: nn.Module, norm: Norm, loss: str
) -> None:
    batch, recorder = patterns(96), Recorder(trained)
    result = PGD(eps=BUDGET[norm], norm=norm, loss=loss).perturb(recorder, batch, draws(batch))
    for start in (recorder.seen[0], batch.x):
        gained = losses(trained, result.x_adv, batch.y, loss) - losses(
            trained, start, batch.y, loss
        )
        assert gained.min() >= -1e-5


@pytest.mark.parametrize("norm", NORMS)
def test_a_random_start_lies_in_the_ball_and_differs_between_examples(
    trained: nn.Module, norm: Norm
) -> None:
    batch, recorder = patterns(200), Recorder(trained)
    PGD(eps=BUDGET[norm], norm=norm, steps=1).perturb(recorder, batch, draws(batch))
    lengths = size(recorder.seen[0].double() - batch.x.double(), norm)
    assert (lengths <= BUDGET[norm] + 1e-6).all()
    assert len(lengths.unique()) == 200
    if norm != "linf":
        # uniform lengths: mean 1/2, 5 standard errors of 200 are 0.1; the box shortens a little
        assert abs(lengths.mean() / BUDGET[norm] - 0.5) < 0.15


def test_without_a_random_start_the_first_image_is_x(trained: nn.Module) -> None:
    batch, recorder = patterns(8), Recorder(trained)
    PGD(eps=0.1, steps=2, random_start=False).perturb(recorder, batch, draws(batch))
    assert torch.equal(recorder.seen[0], batch.x)


def test_one_restart_returns_the_last_image_after_one_pass_per_step(
    trained: nn.Module,
) -> None:
    batch, recorder = patterns(8), Recorder(trained)
    result = PGD(eps=0.1, steps=5, step_size=0.01).perturb(recorder, batch, draws(batch))
    assert len(recorder.seen) == 5
    last = recorder.seen[-1].requires_grad_()
    (gradient,) = torch.autograd.grad(losses(trained, last, batch.y).sum(), last)
    moved = (last.detach() + 0.01 * gradient.sign() - batch.x).clamp(-0.1, 0.1)
    torch.testing.assert_close(result.x_adv, (batch.x + moved).clamp(0, 1), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("fields", "length"),
    [({"step_size": 0.02}, 0.02), ({"relative_step_size": 0.1}, 0.05), ({}, 2.5 * 0.5 / 10)],
    ids=["absolute", "relative", "default"],
)
def test_the_length_of_a_step(trained: nn.Module, fields: dict[str, float], length: float) -> None:
    batch, recorder = patterns(8), Recorder(trained)
    PGD(eps=0.5, norm="l2", steps=10, random_start=False, **fields).perturb(
        recorder, batch, draws(batch)
    )
    torch.testing.assert_close(
        size(recorder.seen[1] - recorder.seen[0], "l2"), torch.full((8,), length)
    )


def test_later_restarts_attack_only_examples_that_are_not_fooled_yet(trained: nn.Module) -> None:
    batch, recorder = patterns(96), Recorder(trained)
    result = PGD(eps=0.2, steps=3, step_size=0.05, restarts=3).perturb(
        recorder, batch, draws(batch)
    )
    sizes = [len(x) for x in recorder.seen]
    assert sizes[:4] == [96] * 4
    assert 96 > sizes[4] >= sizes[8] > 0
    assert int(result.forwards.sum()) == sum(sizes)
    assert set(result.forwards.tolist()) <= {4, 8, 12}
    assert torch.equal(result.backwards * 4, result.forwards * 3)


def test_restarts_keep_a_misclassified_image_before_one_of_larger_loss(trained: nn.Module) -> None:
    batch = patterns(96)
    # few steps, so that much depends on the start
    weak = {"eps": 0.2, "steps": 2, "step_size": 0.05}
    once = PGD(**weak).perturb(trained, batch, draws(batch)).x_adv
    best = PGD(**weak, restarts=8).perturb(trained, batch, draws(batch)).x_adv
    fooled = [trained(x_adv).argmax(1) != batch.y for x_adv in (once, best)]
    assert (fooled[1] | ~fooled[0]).all()
    assert fooled[1].sum() > fooled[0].sum()
    unsettled = ~fooled[1]
    gained = (losses(trained, best, batch.y) - losses(trained, once, batch.y))[unsettled]
    assert gained.min() >= -1e-6
    assert gained.max() > 0


@pytest.mark.parametrize("norm", NORMS)
def test_with_restarts_an_answer_does_not_depend_on_the_batch(norm: Norm) -> None:
    examples = patterns(60)
    weight = torch.randn(32, 3, generator=torch.Generator().manual_seed(2))

    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            # no matrix product, whose rounding depends on the number of rows
            return (x.flatten(1).unsqueeze(2) * weight).sum(1)

    net = Net()
    attack = PGD(eps=BUDGET[norm] / 4, norm=norm, steps=3, restarts=3)

    def attacked(batch_size: int) -> Tensor:
        batches = [examples.take(rows) for rows in torch.arange(60).split(batch_size)]
        return torch.cat([attack.perturb(net, batch, draws(batch)).x_adv for batch in batches])

    together = attacked(60)
    for batch_size in (1, 7):
        torch.testing.assert_close(attacked(batch_size), together, rtol=0, atol=1e-6)


def test_with_label_predicted_the_predicted_label_is_left(trained: nn.Module) -> None:
    batch = patterns(48)
    wrong = Batch(batch.x, (batch.y + 1) % 3, batch.index)
    attack = PGD(eps=0.3, label="predicted", steps=10)
    result = attack.perturb(trained, wrong, draws(batch))
    predicted = trained(batch.x).argmax(1)
    assert (losses(trained, result.x_adv, predicted) > losses(trained, batch.x, predicted)).all()
    assert (result.forwards == 11).all()


def test_standardised_units_are_pixels_divided_by_the_models_standard_deviation() -> None:
    torch.manual_seed(0)
    std, inner = torch.tensor([0.2, 0.4]), nn.Sequential(nn.Flatten(), nn.Linear(32, 3))

    class Net(nn.Module):
        pixel_std = std

        def forward(self, x: Tensor) -> Tensor:
            return inner((x - 0.5) / std.view(1, -1, 1, 1))

    batch = patterns(12)
    free = Batch(batch.x, batch.y, batch.index, bounds=(-torch.inf, torch.inf))
    seen = Batch(
        (batch.x - 0.5) / std.view(1, -1, 1, 1),
        batch.y,
        batch.index,
        bounds=(-torch.inf, torch.inf),
    )
    for norm in NORMS:
        attack = PGD(eps=0.3, norm=norm, steps=4, eps_space="standardised")
        inside = PGD(eps=0.3, norm=norm, steps=4).perturb(inner, seen, draws(batch)).x_adv
        outside = attack.perturb(Net(), free, draws(batch)).x_adv
        torch.testing.assert_close(
            (outside - 0.5) / std.view(1, -1, 1, 1), inside, rtol=0, atol=1e-5
        )


def test_standardised_units_need_a_model_that_standardises() -> None:
    assert PGD(eps_space="standardised").accepts is Standardised
    assert PGD().accepts is None


def test_an_l1_step_moves_black_pixels_up_but_not_further_down() -> None:
    """Pixel 0 has the largest gradient, but is black and would have to darken: 1 and 2 move."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2, bias=False))
    with torch.no_grad():
        model.get_parameter("1.weight").copy_(
            torch.tensor([[9.0, -5.0, -3.0, 1.0], [0.0, 0.0, 0.0, 0.0]])
        )
    batch = Batch(torch.tensor([[[[0.0, 0.0], [0.5, 0.5]]]]), torch.tensor([0]), torch.arange(1))
    attack = PGD(eps=0.2, norm="l1", steps=1, sparsity=2, relative_step_size=1, random_start=False)
    x_adv = attack.perturb(model, batch, draws(batch)).x_adv
    torch.testing.assert_close(x_adv.flatten(), torch.tensor([0.0, 0.1, 0.6, 0.5]))


def test_an_attack_works_within_no_grad(trained: nn.Module) -> None:
    batch = patterns(8)
    with torch.no_grad():
        result = PGD(eps=0.1, steps=2).perturb(trained, batch, draws(batch))
    assert (
        cross_entropy(trained(result.x_adv), batch.y) > cross_entropy(trained(batch.x), batch.y)
    ).all()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"restarts": 2, "random_start": False}, "all 2 restarts are equal"),
        ({"step_size": 0.1, "relative_step_size": 0.1}, "both fix the length"),
        ({"sparsity": 5}, "needs norm l1"),
        ({"eps": -0.1}, "eps"),
        ({"step_size": 0.0}, "step_size"),
    ],
)
def test_contradictory_fields_are_refused(fields: dict[str, float], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        PGD(**fields)


def test_the_true_label_may_be_written_as_yaml_reads_it():
    assert PGD.model_validate({"label": True}) == PGD(label="true")
    with pytest.raises(ValidationError):
        PGD.model_validate({"label": False})
