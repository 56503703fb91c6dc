"""Common behaviour of DDN, FMN and DeepFool: misclassified sources, failures, refinement."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from invspec.attacks.ddn import DDN
from invspec.attacks.deepfool import DeepFool
from invspec.attacks.fmn import FMN
from invspec.data import Batch, Perturbed
from invspec.ops.draws import PerExample
from invspec.ops.norms import size
from invspec.registry.methods import make
from invspec.search.minimal_norm import Nearest, ascent, cosine, shrink
from invspec.search.search import Search

N, CLASSES = 40, 4
SHORT: list[Any] = [
    DDN(steps=20),
    FMN(steps=20),
    FMN(steps=20, norm="linf"),
    FMN(steps=40, norm="l1"),
    FMN(steps=40, norm="l0"),
    DeepFool(),
    DeepFool(norm="linf"),
]
every_attack = pytest.mark.parametrize(
    "attack", SHORT, ids=lambda attack: f"{type(attack).__name__} {attack.norm}"
)


def net(curved: float = 1.0) -> nn.Sequential:
    """Two layers of fixed random weights; `curved` scales the first, and curves the boundaries."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        layers = nn.Sequential(nn.Flatten(), nn.Linear(32, 24), nn.Tanh(), nn.Linear(24, CLASSES))
    with torch.no_grad():
        layers.get_parameter("1.weight").mul_(curved)
    return layers.eval().requires_grad_(False)


def batch_of(n: int = N) -> Batch:
    x = 0.25 + 0.5 * torch.rand(n, 2, 4, 4, generator=torch.Generator().manual_seed(1))
    return Batch(x, torch.arange(n) % CLASSES, torch.arange(n))


def attacked(attack: Any, model: nn.Module, batch: Batch) -> Perturbed:
    return attack.perturb(model, batch, PerExample("task", batch.index))


def label(model: nn.Module, x: Tensor) -> Tensor:
    return model(x).argmax(1)


@every_attack
def test_misclassified_images_are_returned_unchanged(attack: Any) -> None:
    model, batch = net(), batch_of()
    wrong = label(model, batch.x) != batch.y
    result = attacked(attack, model, batch)
    assert wrong.any()
    assert torch.equal(result.x_adv[wrong], batch.x[wrong])
    assert set(result.forwards[wrong].tolist()) == {1}
    assert set(result.backwards[wrong].tolist()) == {0}


@every_attack
def test_all_other_images_change_their_prediction_from_the_true_or_predicted_label(
    attack: Any,
) -> None:
    model, batch = net(), batch_of()
    before, right = label(model, batch.x), label(model, batch.x) == batch.y
    assert (label(model, attacked(attack, model, batch).x_adv) != before)[right].all()
    from_predicted = attack.model_copy(update={"label": "predicted"})
    assert (label(model, attacked(from_predicted, model, batch).x_adv) != before).all()


@every_attack
def test_where_nothing_can_be_found_x_is_returned(attack: Any) -> None:
    def constant(x: Tensor) -> Tensor:
        return 0 * x.flatten(1)[:, :CLASSES] + torch.arange(CLASSES, 0, -1.0)

    class Constant(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return constant(x)

    batch = batch_of(8)
    batch = Batch(batch.x, torch.zeros(8, dtype=torch.int64), batch.index)
    assert torch.equal(attacked(attack, Constant(), batch).x_adv, batch.x)


@pytest.mark.parametrize(
    "attack", [DDN(steps=60, refine=0), FMN(steps=60, refine=0)], ids=["ddn", "fmn"]
)
def test_a_random_direction_replaces_a_vanished_gradient(attack: Any) -> None:
    """Logits that are constant within a distance of 0.5 from grey, and change beyond it."""

    class Plateau(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            beyond = torch.relu(size(x - 0.5, "l2") - 0.5)
            return torch.stack([torch.full_like(beyond, 0.1), beyond], dim=1)

    grey = Batch(torch.full((8, 1, 4, 4), 0.5), torch.zeros(8, dtype=torch.int64), torch.arange(8))
    result = attacked(attack, Plateau(), grey).x_adv
    assert (label(Plateau(), result) == 1).all()
    # each example draws its own direction
    assert size(result[:1] - result[1:2], "l2") > 0.1


@every_attack
def test_refinement_only_shortens_and_stays_adversarial(attack: Any) -> None:
    model, batch = net(), batch_of()
    raw, refined = (
        attacked(attack.model_copy(update={"refine": refine}), model, batch).x_adv
        for refine in (0, attack.refine)
    )
    assert (size(refined - batch.x, attack.norm) <= size(raw - batch.x, attack.norm)).all()
    assert torch.equal(label(model, raw) != batch.y, label(model, refined) != batch.y)


@pytest.mark.parametrize("attack", [FMN(steps=20), DDN(steps=20)], ids=["fmn", "ddn"])
def test_rivals_only_shorten_and_their_passes_are_counted(attack: Any) -> None:
    model, batch = net(), batch_of()
    alone, with_rivals = (
        attacked(attack.model_copy(update={"rivals": rivals, "refine": 0}), model, batch)
        for rivals in (0, 9)
    )
    assert (size(with_rivals.x_adv - batch.x, "l2") <= size(alone.x_adv - batch.x, "l2")).all()
    right = label(model, batch.x) == batch.y
    assert set(alone.forwards[right].tolist()) == {1 + 21}
    # only three of the nine rivals exist
    assert set(with_rivals.forwards[right].tolist()) == {1 + 1 + CLASSES * 21}
    assert set(with_rivals.backwards[right].tolist()) == {CLASSES * 20}


def test_deepfool_spends_passes_only_until_an_example_is_fooled() -> None:
    model, batch = net(curved=10), batch_of()
    result = attacked(DeepFool(refine=0, candidates=2), model, batch)
    right = label(model, batch.x) == batch.y
    rounds = (result.forwards[right] - 2) / 2
    assert 1 <= rounds.min() < rounds.max() <= 50
    assert torch.equal(result.backwards[right], (2 * rounds).long())


def test_only_nearer_adversarial_images_are_kept() -> None:
    x = torch.zeros(3, 1, 1, 2)
    batch = Batch(x, torch.zeros(3, dtype=torch.int64), torch.arange(3))
    nearest = Nearest(Search(nn.Identity(), batch), "l2", x)
    nearest.offer(x + 2, torch.tensor([True, True, False]))
    nearest.offer(
        x + torch.tensor([1.0, 3.0, 1.0]).view(3, 1, 1, 1), torch.tensor([True, True, False])
    )
    assert nearest.search.x_adv.amax((1, 2, 3)).tolist() == [1, 2, 0]
    assert nearest.found.tolist() == [True, True, False]
    assert nearest.distance.tolist() == pytest.approx([2**0.5, 8**0.5, torch.inf])


def test_shrinking_by_half_halves_the_length_or_the_number_of_entries() -> None:
    delta = torch.tensor([[4.0, -3.0, 2.0, 0.0, 1.0]])
    half = torch.tensor([0.5])
    torch.testing.assert_close(shrink(delta, half, "linf"), delta / 2)
    assert shrink(delta, half, "l0").tolist() == [[4, -3, 0, 0, 0]]


def test_an_ascent_has_length_1_and_falls_back_where_the_gradient_is_0() -> None:
    gradient, fallback = (
        torch.tensor([[3e-30, 4e-30], [0.0, 0.0]]),
        torch.tensor([[1.0, 0.0], [0.0, -2.0]]),
    )
    torch.testing.assert_close(ascent(gradient, fallback), torch.tensor([[0.6, 0.8], [0.0, -1.0]]))


def test_a_cosine_schedule_starts_and_ends_flat() -> None:
    assert [cosine(1, 0, step, 4) for step in range(5)] == pytest.approx(
        [1, 0.853553, 0.5, 0.146447, 0], abs=1e-6
    )


def test_the_cards_have_the_settings_of_the_papers() -> None:
    assert make("attack", "ddn", {}) == DDN(steps=100, init_eps=1, gamma=0.05, loss="ce", rivals=0)
    assert make("attack", "fmn", {"norm": "l0"}) == FMN(norm="l0", step_size=1, gamma=0.05)
    assert make("attack", "deepfool", {}) == DeepFool(
        norm="l2", overshoot=0.02, steps=50, candidates=10
    )


@pytest.mark.parametrize(
    "fields",
    [{"norm": "linf"}, {"gamma": 1.0}, {"levels": 1}, {"init_eps": 0.0}, {"refine": -1}],
    ids=str,
)
def test_ddn_refuses_invalid_fields(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        DDN.model_validate(fields)
