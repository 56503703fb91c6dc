"""What an examination hands to its check, and what the store keeps of the finding."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn
from workbench import FAKE, Memory, perturb, toys, train

from invspec.checks.finite import Finite
from invspec.checks.gradient_true import GradientTrue
from invspec.data import Examples, Finding, Interval
from invspec.defences.untrained import Untrained
from invspec.errors import InvspecError
from invspec.execution.store import Store
from invspec.kinds import Attack, Check, Model, Sample
from invspec.models.linear import Linear
from invspec.ops.draws import Draws
from invspec.ops.proxy import ModelProxy
from invspec.ops.types import Shape
from invspec.perform.runtime import Artifact
from invspec.tasks import (
    Examine,
    Score,
    canonical,
    draw_name,
    key,
    label,
    needs,
    needs_device,
    verb,
)


class Keeps(Check):
    """Passes, and keeps what it was given."""

    seen: ClassVar[list[Any]] = []

    def examine(
        self, model: nn.Module, attack: Attack | None, examples: Examples, rng: Draws
    ) -> Finding:
        self.seen.append((model, attack, examples, rng))
        n = len(examples.judged.index)
        return Finding("passes", Interval(0.0, 0.0, 0.0, n), 0.0)


class Forgets(Check):
    """Returns nothing."""

    def examine(  # pyright: ignore[reportReturnType]
        self, model: nn.Module, attack: Attack | None, examples: Examples, rng: Draws
    ) -> Finding: ...


class Meddles(Check):
    """Halves a weight of the net."""

    def examine(
        self, model: nn.Module, attack: Attack | None, examples: Examples, rng: Draws
    ) -> Finding:
        next(model.parameters()).data.mul_(0.5)
        return Finding("passes", Interval(0.0, 0.0, 0.0, 1), 0.0)


class Throws(Check):
    """Measures a number that torch draws."""

    def examine(
        self, model: nn.Module, attack: Attack | None, examples: Examples, rng: Draws
    ) -> Finding:
        drawn = torch.rand(()).item()
        return Finding("passes", Interval(drawn, drawn, drawn, 1), 1.0)


class Writes(Model):
    """A linear net that writes to its images."""

    def build(self, shape: Shape, classes: int) -> nn.Module:
        return Linear().build(shape, classes)

    def deploy(self, net: nn.Module) -> nn.Module:
        return Writing(super().deploy(net)).eval()


class Writing(ModelProxy):
    """The first row of pixels is clamped, which changes no value."""

    def forward(self, x: Tensor) -> Tensor:
        x[:, :, 0].clamp_(0, 1)
        return self.net(x)


NET = train()
SHIFT = [perturb(toys.Shift(), NET, part) for part in ((0, 12), (12, 20))]


def of_net(check: Check | None = None, sample: Sample | None = None, images: int = 6) -> Examine:
    return Examine(check or Keeps(), NET, (), sample or Sample(), images)


def of_attack(images: int = 14, parts: int = 2) -> Examine:
    return Examine(Keeps(), NET, tuple(SHIFT[:parts]), Sample(), images)


def given(task: Examine) -> tuple[Any, Attack | None, Examples, Draws]:
    Keeps.seen.clear()
    Memory().load(task)
    return Keeps.seen.pop()


def test_a_check_of_a_net_sees_clean_images_spread_over_the_sample() -> None:
    _, attack, examples, _ = given(of_net())
    assert attack is None
    assert examples.judged.index.tolist() == [0, 3, 6, 10, 13, 16]
    (batch,) = examples.clean.batches(6)
    assert torch.equal(batch.index, examples.judged.index)
    assert torch.equal(examples.x_adv, batch.x)
    assert torch.equal(examples.judged.prediction, examples.judged.prediction_adv)


def test_a_small_sample_is_seen_whole_and_in_order() -> None:
    _, _, examples, _ = given(of_net(sample=Sample(limit=4)))
    assert examples.judged.index.tolist() == [0, 1, 2, 3]


def test_a_check_of_an_attack_sees_its_first_results() -> None:
    memory = Memory()
    Keeps.seen.clear()
    memory.load(of_attack())
    _, attack, examples, _ = Keeps.seen.pop()
    assert attack == SHIFT[0].attack
    assert len(examples.clean) == len(examples.judged.index) == 14
    stored = [memory.kept[part].tensors["x_adv"] for part in SHIFT]
    assert torch.equal(examples.x_adv, torch.cat(stored)[:14])
    assert examples.settings == {"by": 0.25}


def test_parts_beyond_the_images_are_not_needed() -> None:
    _, _, examples, _ = given(of_attack(images=5, parts=1))
    assert len(examples.judged.index) == 5
    assert needs(of_attack(images=5, parts=1)) == (NET, SHIFT[0])


def test_the_check_gets_the_deployed_net_and_draws_for_its_examples() -> None:
    model, _, examples, rng = given(of_net())
    assert not model.net.training
    assert model(torch.zeros(2, *FAKE.shape)).shape == (2, FAKE.classes)
    assert rng.uniform((len(examples.judged.index), 3)).shape == (6, 3)


def test_a_check_that_returns_no_finding_is_named() -> None:
    with pytest.raises(InvspecError, match="Forgets returned None, expected a Finding"):
        Memory().load(of_net(Forgets()))


@pytest.mark.parametrize("check", [Finite(), GradientTrue()], ids=["finite", "gradient_true"])
def test_a_net_that_writes_to_a_view_of_its_images_is_named(check: Check) -> None:
    task = Examine(check, train(model=Writes(), defence=Untrained()), (), Sample(), 16)
    with pytest.raises(InvspecError, match=r"^net Writes changes its images in place\nhint: "):
        Memory().load(task)


def test_a_check_that_changes_the_net_is_named() -> None:
    memory = Memory()
    with pytest.raises(InvspecError, match=r"^Meddles changed the net that it was given: "):
        memory.load(of_net(Meddles()))
    # the next check gets the net as it was trained
    assert memory.load(of_net(Finite())) == Memory().load(of_net(Finite()))


def test_what_a_check_draws_from_a_global_generator_is_the_same_in_every_run() -> None:
    first, second = (Memory().load(of_net(Throws())).finding for _ in range(2))
    assert first == second


def test_all_checks_of_a_net_share_its_judged_images() -> None:
    memory = Memory()
    Keeps.seen.clear()
    for images in (6, 6, 7):
        memory.load(of_net(images=images))
        memory.kept.pop(of_net(images=images))
    (_, _, first, _), (_, _, second, _), (_, _, third, _) = Keeps.seen
    assert first is second
    assert len(third.judged.index) == 7


# ─ the task ───────────────────────────────────────────────────────────────────────────────────


def test_an_examination_is_a_task_of_its_own() -> None:
    task = of_attack()
    assert verb(task) == "examine"
    assert label(task) == "Keeps of Shift on Linear · Standard · seed 0"
    assert label(of_net()) == "Keeps of Linear · Standard · seed 0"
    assert needs_device(task)
    assert needs(of_net()) == (NET,)


def test_its_key_holds_everything_that_changes_a_finding() -> None:
    tasks = [of_net(), of_net(Finite()), of_net(images=7), of_attack(), of_attack(parts=1)]
    tasks += [of_net(sample=Sample(limit=3)), Examine(Keeps(), train(seed=1), (), Sample(), 6)]
    assert len({key(task) for task in tasks}) == len(tasks)
    assert '"task": "Examine"' in canonical(tasks[0])


def test_all_nets_get_the_same_draws() -> None:
    other = Examine(Keeps(), train(seed=1), (), Sample(limit=2), 3)
    assert draw_name(of_net()) == draw_name(other)
    assert draw_name(of_net()) != draw_name(of_attack())


# ─ the store ──────────────────────────────────────────────────────────────────────────────────

FINDINGS = [
    Finding("passes", Interval(0.5, 0.25, 0.75, 64), 0.01),
    Finding("fails", Interval(math.inf, 3.0, math.inf, 64), 0.01, "it is wrong", "mend it", 0.125),
    Finding("skipped", Interval(0.0, -math.inf, 0.0, 0), 0.0, "it does not apply"),
]


@pytest.mark.parametrize("finding", FINDINGS, ids=lambda finding: finding.status)
def test_the_store_returns_the_finding_that_it_was_given(tmp_path: Path, finding: Finding) -> None:
    store, task = Store(tmp_path), of_net()
    store.save(task, Artifact(finding=finding), seconds=0.5)
    assert store.load(task).finding == finding
    assert store.flaws(task) == []
    assert store.made(task)["seconds"] == 0.5
    assert store.digest(task)
    assert [verb for verb, _ in store.folders()] == ["examine"]


def test_a_finding_that_was_edited_is_seen(tmp_path: Path) -> None:
    store, task = Store(tmp_path), of_net()
    store.save(task, Artifact(finding=FINDINGS[1]))
    file = store.folder(task) / "finding.json"
    file.write_text(file.read_text().replace("fails", "passes"))
    (flaw,) = store.flaws(task) or []
    assert flaw.startswith("finding.json: SHA-256")


def test_a_damaged_finding_names_its_folder(tmp_path: Path) -> None:
    store, task = Store(tmp_path), of_net()
    store.save(task, Artifact(finding=FINDINGS[0]))
    (store.folder(task) / "finding.json").write_text('{"status": "passes"}')
    with pytest.raises(InvspecError, match="is damaged"):
        store.load(task)


def test_keys_of_scores_do_not_know_of_checks() -> None:
    assert "check" not in canonical(Score(toys.Gap(), ((SHIFT[0],), (SHIFT[1],))))


# ─ other nets ─────────────────────────────────────────────────────────────────────────────────


def compared() -> Examine:
    other = tuple(perturb(toys.Shift(), train(seed=1), part) for part in ((0, 12), (12, 20)))
    return Examine(Keeps(), NET, tuple(SHIFT), Sample(), 14, (other,))


def test_a_check_sees_what_the_attack_made_on_other_nets() -> None:
    memory, task = Memory(), compared()
    Keeps.seen.clear()
    memory.load(task)
    _, _, examples, _ = Keeps.seen.pop()
    stored = torch.cat([memory.kept[part].tensors["x_adv"] for part in task.others[0]])
    (x_adv,) = examples.others
    assert torch.equal(x_adv, stored[:14])
    assert set(needs(task)) >= set(task.others[0])


def test_other_nets_are_in_the_key_and_none_changes_no_key() -> None:
    assert key(compared()) != key(of_attack())
    assert "others" not in canonical(of_attack())
    assert draw_name(compared()) == draw_name(of_attack())
