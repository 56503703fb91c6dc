from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from invspec.attacks.identity import Identity
from invspec.attacks.lst import LST
from invspec.attacks.nspgd import NSPGD
from invspec.attacks.pgd import PGD
from invspec.data import Batch, PathPromise, Perturbed
from invspec.kinds import Attack
from invspec.ops.draws import PerExample
from invspec.ops.norms import size
from invspec.ops.nullspace import dot, project_out, project_out_within
from invspec.registry.methods import make
from invspec.scoring.paths import verify_path

N, SHAPE, CLASSES = 48, (1, 6, 6), 3


class Counted(nn.Module):
    """A confident net of fixed random weights that records its inputs."""

    def __init__(self, scale: float = 4.0) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            self.layers = nn.Sequential(
                nn.Flatten(), nn.Linear(36, 24), nn.Tanh(), nn.Linear(24, CLASSES)
            )
        self.scale = scale
        self.seen: list[Tensor] = []
        self.eval().requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x.detach().clone())
        return self.scale * self.layers(x - 0.5)


def pairs(n: int = N) -> Batch:
    generator = torch.Generator().manual_seed(1)
    x, x_target = (
        (1.6 * torch.rand(n, *SHAPE, generator=generator) - 0.3).clamp(0, 1) for _ in range(2)
    )
    return Batch(x, torch.zeros(n, dtype=torch.int64), torch.arange(n), x_target=x_target)


def walked(attack: Attack, batch: Batch | None = None, model: nn.Module | None = None) -> Perturbed:
    batch = batch or pairs()
    return attack.perturb(model or Counted(), batch, PerExample("task", batch.index))


def confidence(x: Tensor, label: Tensor) -> Tensor:
    return Counted()(x).softmax(1).gather(1, label[:, None]).squeeze(1)


def margins(path: Tensor, max_drop: float) -> tuple[Tensor, Tensor]:
    """Least confidence above the bound and longest step, (B,) each, of a path (T, B, C, H, W)."""
    probs = Counted()(path[0]).softmax(1)
    check = verify_path(path.transpose(0, 1), Counted(), probs.argmax(1), probs.amax(1), max_drop)
    return check.min_margin, check.max_step


def remaining(result: Perturbed) -> Tensor:
    """Distance to the target as a share of that of x, (B,)."""
    batch = pairs()
    return size(result.x_adv - batch.targets, "l2") / size(batch.x - batch.targets, "l2")


EVERY: list[NSPGD] = [
    NSPGD(projection=projection, step_mode=mode, steps=60, step_size=0.08, keep_path=True, **more)
    for projection in ("one_sided", "two_sided", "none", "printed")
    for mode in ("unit", "fraction")
    for more in ({}, {"backtracks": 0, "clamp": "input"})
]


def named(attack: NSPGD) -> str:
    return f"{attack.projection} {attack.step_mode} {attack.clamp}"


@pytest.mark.parametrize("attack", EVERY, ids=named)
def test_a_path_leads_from_x_to_x_adv_by_valid_steps(attack: NSPGD) -> None:
    result, batch = walked(attack), pairs()
    assert result.path is not None
    assert result.path.shape == (61, *batch.x.shape)
    assert torch.equal(result.path[0], batch.x)
    assert torch.equal(result.path[-1], result.x_adv)
    assert 0 <= result.path.min() <= result.path.max() <= 1
    margin, longest = margins(result.path, attack.max_drop)
    assert margin.min() >= -1e-6
    if attack.step_mode == "unit":
        assert longest.max() <= 0.08 + 1e-6
    assert (size(result.x_adv - batch.x, "l2") > 0).float().mean() > 0.9


@pytest.mark.parametrize(
    "attack", [attack for attack in EVERY if "sided" in attack.projection], ids=named
)
def test_no_step_goes_against_the_gradient_of_the_confidence(
    attack: NSPGD, monkeypatch: pytest.MonkeyPatch
) -> None:
    cosines: list[Tensor] = []

    def spied(v: Tensor, gradient: Tensor, projection: Any) -> Tensor:
        u = project_out(v, gradient, projection)
        cosine = dot(u, gradient) / (size(u, "l2") * size(gradient, "l2"))
        # shorter u are differences of nearly equal numbers
        cosines.append(cosine[size(u, "l2") > 1e-4])
        return u

    monkeypatch.setattr("invspec.attacks.nspgd.project_out", spied)
    batch = pairs()
    precise = replace(batch, x=batch.x.double(), x_target=batch.targets.double())
    walked(attack, precise, Counted().double())
    assert torch.cat(cosines).min() >= -1e-10
    if attack.projection == "two_sided":
        assert torch.cat(cosines).max() <= 1e-10


def test_an_accepted_step_costs_one_pass_each_way() -> None:
    model = Counted()
    result = walked(NSPGD(steps=20, max_drop=1), model=model)
    assert set(result.forwards.tolist()) == {21}
    assert set(result.backwards.tolist()) == {20}
    assert len(model.seen) == 21


def test_examples_that_stop_leave_the_batch() -> None:
    model = Counted()
    attack = NSPGD(projection="none", step_mode="fraction", steps=60, backtracks=0, max_drop=0.01)
    result = walked(attack, model=model)
    passed = [len(x) for x in model.seen]
    assert passed == sorted(passed, reverse=True)
    assert passed[-1] < N // 2
    assert sum(passed) == int(result.forwards.sum())


def test_halving_refused_steps_ends_closer_to_the_target() -> None:
    at_once, halved = (
        walked(
            NSPGD(
                step_mode="fraction", step_size=0.2, steps=100, max_drop=0.01, backtracks=backtracks
            )
        )
        for backtracks in (0, 8)
    )
    assert (remaining(halved) <= remaining(at_once) + 1e-6).all()
    assert remaining(halved).mean() < remaining(at_once).mean() - 0.01
    assert (halved.forwards >= at_once.forwards).all()


def test_a_refused_step_is_halved_backtracks_times() -> None:
    class Cliff(nn.Module):
        """Confident at the source, and nowhere else."""

        def forward(self, x: Tensor) -> Tensor:
            sure = (x == 0.25).flatten(1).all(1)
            here = torch.where(sure, 5.0, -5.0) + 0 * x.flatten(1).sum(1)
            return torch.stack([here, -here], dim=1)

    x = torch.full((4, *SHAPE), 0.25)
    batch = Batch(
        x, torch.zeros(4, dtype=torch.int64), torch.arange(4), x_target=torch.ones_like(x)
    )
    for backtracks in (0, 3):
        result = walked(NSPGD(steps=50, backtracks=backtracks), batch, Cliff())
        assert torch.equal(result.x_adv, x)
        assert set(result.forwards.tolist()) == {1 + 1 + backtracks}


def test_an_example_stops_at_the_target() -> None:
    batch = pairs()
    for step_mode in ("unit", "fraction"):
        result = walked(
            NSPGD(projection="none", step_mode=step_mode, step_size=0.5, max_drop=1, steps=400)
        )
        torch.testing.assert_close(result.x_adv, batch.targets, rtol=0, atol=1e-6)
        assert result.forwards.max() < 100


def test_a_source_equal_to_its_target_does_not_move() -> None:
    batch = pairs()
    result = walked(NSPGD(keep_path=True, steps=5), replace(batch, x_target=batch.x))
    assert result.path is not None
    assert torch.equal(result.path, batch.x.expand_as(result.path))


@pytest.mark.parametrize("attack", [NSPGD(steps=40), LST(steps=40)], ids=["nspgd", "lst"])
def test_a_saturated_model_still_has_a_gradient(attack: Attack) -> None:
    result = walked(attack, model=Counted(scale=300.0))
    assert result.x_adv.isfinite().all()
    assert (size(result.x_adv - pairs().x, "l2") > 0.1).float().mean() > 0.9


class Broken(nn.Module):
    """Constant logits, or logits that are NaN everywhere or everywhere but at x."""

    def __init__(self, how: Literal["constant", "nan", "nan away from x"], x: Tensor) -> None:
        super().__init__()
        self.how, self.x = how, x

    def forward(self, x: Tensor) -> Tensor:
        flat = 0 * x.flatten(1)[:, :CLASSES] + torch.tensor([2.0, 1.0, 0.0])
        if self.how == "nan" or (self.how == "nan away from x" and not torch.equal(x, self.x)):
            return flat * torch.nan
        return flat


@pytest.mark.parametrize(
    "attack", [NSPGD(steps=30, keep_path=True), LST(steps=30)], ids=["nspgd", "lst"]
)
@pytest.mark.parametrize("how", ["nan", "nan away from x"])
def test_nothing_moves_where_the_logits_are_nan(attack: Attack, how: Any) -> None:
    batch = pairs()
    result = walked(attack, batch, Broken(how, batch.x))
    assert torch.equal(result.x_adv, batch.x)


@pytest.mark.parametrize("attack", [NSPGD(step_size=1.0), LST(step_size=0.2)], ids=["nspgd", "lst"])
def test_a_constant_model_lets_every_example_reach_its_target(attack: Attack) -> None:
    batch = pairs(8)
    result = walked(attack, batch, Broken("constant", batch.x))
    torch.testing.assert_close(result.x_adv, batch.targets, rtol=0, atol=1e-6)


# ─ steps ──────────────────────────────────────────────────────────────────────────────────────────


def test_by_default_steps_suffice_for_the_distance_of_each_pair() -> None:
    batch = pairs(8)
    model = Broken("constant", batch.x)
    straight = walked(NSPGD(max_drop=1), batch, model)
    torch.testing.assert_close(straight.x_adv, batch.targets, rtol=0, atol=1e-6)
    distance = size(batch.x - batch.targets, "l2")
    # the pass at x, the steps, and one after which u is no more than rounding errors
    assert (straight.forwards - (distance / 0.01).ceil()).abs().max() <= 2
    assert straight.ran_out is not None
    assert not straight.ran_out.any()


def test_walks_whose_steps_run_out_are_named() -> None:
    batch = pairs(8)
    distance = size(batch.x - batch.targets, "l2")
    few = int((distance / 0.01).median())
    result = walked(NSPGD(max_drop=1, steps=few), batch, Broken("constant", batch.x))
    assert result.ran_out is not None
    # those that have come within 1 % of their targets have arrived
    assert result.ran_out.tolist() == (distance * 0.99 > 0.01 * few).tolist()
    assert 0 < result.ran_out.float().mean() < 1


def test_a_walk_that_is_refused_did_not_run_out() -> None:
    result = walked(NSPGD(projection="none", steps=1500, max_drop=0.01, backtracks=0))
    assert result.ran_out is not None
    assert not result.ran_out.any()
    assert (remaining(result) > 0.01).any()


def test_steps_of_a_pair_do_not_depend_on_its_batch() -> None:
    attack, batch = NSPGD(projection="none", max_drop=1, step_size=0.05), pairs(6)
    together = walked(attack, batch)
    alone = [walked(attack, batch.take(torch.tensor([row]))) for row in range(6)]
    for field in ("forwards", "backwards", "ran_out"):
        column = torch.cat([getattr(result, field) for result in alone])
        assert torch.equal(getattr(together, field), column)


def test_a_path_needs_a_limit_on_its_images() -> None:
    with pytest.raises(ValidationError, match="keep_path needs steps"):
        NSPGD(keep_path=True)
    assert NSPGD(keep_path=True, step_mode="fraction").path_vertices == 102
    assert NSPGD().smoke().steps == 2
    assert NSPGD(step_mode="fraction").smoke().most_steps == 2


# ─ start ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_start_is_the_second_vertex_and_its_passes_are_counted() -> None:
    batch, start = pairs(), PGD(eps=0.02, steps=3, random_start=False, label="predicted")
    alone, started = (
        walked(NSPGD(steps=4, max_drop=1)),
        walked(NSPGD(steps=4, max_drop=1, start=start, keep_path=True)),
    )
    assert started.path is not None
    assert started.path.shape == (6, *batch.x.shape)
    assert torch.equal(started.path[0], batch.x)
    assert torch.equal(started.path[1], walked(start).x_adv)
    assert (started.forwards - alone.forwards).unique().tolist() == [
        1 + 3 + 1  # PGD's predicted label, its steps, the judgement of the start
    ]
    assert (started.backwards - alone.backwards).unique().tolist() == [1 + 3]


def test_label_and_confidence_stay_those_of_x() -> None:
    batch = pairs()
    label = Counted()(batch.x).argmax(1)
    start = PGD(eps=0.1, steps=10, random_start=False, label="predicted")
    result = walked(NSPGD(steps=30, step_size=0.1, start=start, keep_path=True))
    assert result.path is not None
    refused = confidence(walked(start).x_adv, label) < confidence(batch.x, label) - 0.05
    assert refused.any()
    assert torch.equal(result.path[1][refused], batch.x[refused])
    assert result.start_refused is not None
    assert torch.equal(result.start_refused, refused)
    assert walked(NSPGD(steps=1)).start_refused is None
    assert (confidence(result.x_adv, label) >= confidence(batch.x, label) - 0.05 - 1e-6).all()


def test_a_start_at_x_only_costs_a_pass() -> None:
    batch = pairs()
    before, alone = batch.x.clone(), walked(NSPGD(steps=20))
    result = walked(NSPGD(steps=20, start=Identity()), batch)
    assert torch.equal(result.x_adv, alone.x_adv)
    assert torch.equal(batch.x, before)
    assert torch.equal(result.forwards, alone.forwards + 1)


def test_a_start_passes_on_what_it_needs_of_the_model() -> None:
    assert (
        NSPGD(start=PGD(eps_space="standardised")).accepts is PGD(eps_space="standardised").accepts
    )
    assert NSPGD().accepts is None


# ─ settings ───────────────────────────────────────────────────────────────────────────────────────


def test_with_clamp_input_only_the_models_input_and_the_result_are_clamped() -> None:
    model = Counted()
    attack = NSPGD(clamp="input", step_mode="fraction", steps=30, max_drop=0.3)
    free, held = walked(attack, model=model), walked(attack.model_copy(update={"clamp": "iterate"}))
    assert all(0 <= x.min() <= x.max() <= 1 for x in model.seen)
    assert 0 <= free.x_adv.min() <= free.x_adv.max() <= 1
    assert not torch.equal(free.x_adv, held.x_adv)


def test_free_coordinates_keep_more_confidence_in_the_same_number_of_steps() -> None:
    label = Counted()(pairs().x).argmax(1)
    attack = NSPGD(step_mode="fraction", steps=40, max_drop=1)
    pinned, free = (
        walked(attack.model_copy(update={"free_coordinates": free})) for free in (False, True)
    )
    assert confidence(free.x_adv, label).mean() > confidence(pinned.x_adv, label).mean()


@pytest.mark.parametrize("projection", ["one_sided", "two_sided"])
@pytest.mark.parametrize("mode", ["unit", "fraction"])
def test_with_free_coordinates_no_step_goes_against_the_gradient(
    projection: Any, mode: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    along: list[Tensor] = []
    held: list[Tensor] = []

    def spied(v: Tensor, gradient: Tensor, how: Any, x: Tensor, bounds: Any) -> Tensor:
        u = project_out_within(v, gradient, how, x, bounds)
        beyond = ((x <= bounds[0]) & (u < 0)) | ((x >= bounds[1]) & (u > 0))
        assert not beyond.any()
        # v is 0 at the target
        cosine = dot(u, gradient) / (size(v, "l2") * size(gradient, "l2"))
        along.append(cosine[size(v, "l2") > 0])
        held.append(((u == 0) & (v != 0)).flatten(1).any(1))
        return u

    monkeypatch.setattr("invspec.attacks.nspgd.project_out_within", spied)
    batch = pairs()
    precise = replace(batch, x=batch.x.double(), x_target=batch.targets.double())
    attack = NSPGD(
        projection=projection, step_mode=mode, step_size=0.08, steps=60, free_coordinates=True
    )
    walked(attack, precise, Counted().double())
    assert len(along) == 60
    assert torch.cat(along).min() >= -1e-12
    assert torch.cat(held).float().mean() > 0.2


def test_strict_refuses_a_loss_of_exactly_max_drop() -> None:
    batch = pairs(8)
    constant = Broken("constant", batch.x)
    lenient, strict = (
        walked(NSPGD(max_drop=0, strict=strict, steps=5), batch, constant)
        for strict in (False, True)
    )
    assert not torch.equal(lenient.x_adv, batch.x)
    assert torch.equal(strict.x_adv, batch.x)


def test_the_default_step_size_depends_on_the_mode() -> None:
    for mode, step_size in (("unit", 0.01), ("fraction", 0.05)):
        by_default, explicit = (
            walked(NSPGD(step_mode=mode, steps=5, **more)).x_adv
            for more in ({}, {"step_size": step_size})
        )
        assert torch.equal(by_default, explicit)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"step_mode": "fraction", "step_size": 1.5}, "step_size 1.5 overshoots the target"),
        ({"free_coordinates": True, "clamp": "input"}, "with clamp input no pixel is held"),
        ({"free_coordinates": True, "projection": "none"}, "found none, which projects nothing"),
    ],
)
def test_contradictions_are_refused(settings: Any, complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        NSPGD(**settings)


def test_the_published_card_is_the_authors_code() -> None:
    card = make("attack", "nspgd_published", {})
    assert isinstance(card, NSPGD)
    assert (card.projection, card.step_mode, card.step_size) == ("one_sided", "fraction", 0.05)
    assert (card.steps, card.clamp, card.backtracks) == (100, "input", 0)
    assert (card.max_drop, card.strict) == (0.05, True)


def test_algorithm_1_as_its_text_means_it_walks_by_short_steps_to_the_first_refusal() -> None:
    card = make("attack", "nspgd_text", {})
    assert card == NSPGD(
        projection="one_sided", step_mode="unit", step_size=None, backtracks=0, max_drop=0.05
    )
    assert NSPGD(step_size=0.01, backtracks=0).path_promise.longest_step == 0.01


def test_path_vertices_bounds_the_length_of_the_path() -> None:
    start = PGD(eps=0.02, steps=1)
    attack = NSPGD(steps=4, start=start, keep_path=True)
    path = walked(attack).path
    assert path is not None
    assert len(path) == attack.path_vertices == 6
    assert NSPGD().path_vertices == 0


def test_the_promise_names_step_size_and_start() -> None:
    assert NSPGD().path_promise == PathPromise(0.05, longest_step=0.01, jumps=False)
    by_fractions = NSPGD(step_mode="fraction", max_drop=0.1, start=Identity())
    assert by_fractions.path_promise == PathPromise(0.1, longest_step=None, jumps=True)
