"""Precisions chosen for a store: measured once, and read by whoever comes later."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from workbench import FAKE, registered, toys, train

from invspec.defences.standard import Standard
from invspec.errors import InvspecError
from invspec.execution import choices, measuring
from invspec.execution.choices import Choice, Choices
from invspec.execution.disk import Unwritable
from invspec.execution.measuring import measure, measured
from invspec.kinds import Model
from invspec.models.lenet import LeNet
from invspec.models.linear import Linear
from invspec.perform.steps import Comparison, Finding
from invspec.plan.precisions import Question

LOW = Choice(
    precision="bfloat16",
    milliseconds={"float32": 66.0, "bfloat16": 41.0},
    disagree=(),
    batch_size=64,
    device="cpu",
    torch="2.14.1",
    measured="2026-01-02T03:04:05+00:00",
)
FULL = replace(LOW, precision="float32", milliseconds={"float32": 41.0, "bfloat16": 66.0})


def question(model: Model | None = None, work: Any = "training", **changes: Any) -> Question:
    task = train(model=model or Linear(), **changes)
    return Question(work, task.model, task.dataset.shape, task)


class Counting:
    """Answers with a choice, and counts the questions."""

    def __init__(self, choice: Choice = LOW) -> None:
        self.choice, self.asked = choice, list[tuple[Question, str]]()

    def __call__(self, question: Question, device: str) -> Choice:
        self.asked.append((question, device))
        return self.choice


def test_a_question_is_measured_once_for_a_store(tmp_path: Path) -> None:
    counting, asked = Counting(), question()
    assert Choices(tmp_path).settle(asked, "cpu", counting) == LOW
    assert Choices(tmp_path).settle(asked, "cuda:0", Counting(FULL)) == LOW
    assert counting.asked == [(asked, "cpu")]


def test_two_stores_may_choose_differently(tmp_path: Path) -> None:
    first, second = Choices(tmp_path / "a"), Choices(tmp_path / "b")
    first.settle(question(), "cpu", Counting(LOW))
    second.settle(question(), "cpu", Counting(FULL))
    assert (first.answer(question()), second.answer(question())) == ("bfloat16", "float32")


def test_without_a_choice_the_answer_is_float32_and_nothing_is_written(tmp_path: Path) -> None:
    assert Choices(tmp_path / "store").answer(question()) == "float32"
    assert Choices(tmp_path / "store").read(question()) is None
    assert not (tmp_path / "store").exists()


def test_a_choice_is_for_a_model_a_shape_and_a_kind_of_work(tmp_path: Path) -> None:
    kept = Choices(tmp_path)
    kept.settle(question(), "cpu", Counting())
    larger = FAKE.model_copy(update={"image_shape": (1, 5, 5)})
    others = [question(LeNet()), question(work="search"), question(dataset=larger)]
    assert [kept.read(other) for other in others] == [None, None, None]


def test_a_choice_is_for_every_training_data_set_and_seed(tmp_path: Path) -> None:
    kept = Choices(tmp_path)
    kept.settle(question(), "cpu", Counting())
    alike = question(
        seed=5, defence=Standard(batch_size=7), dataset=FAKE.model_copy(update={"seed": 9})
    )
    assert kept.read(alike) == LOW


def test_the_file_says_what_was_measured_and_where(tmp_path: Path) -> None:
    kept = Choices(tmp_path)
    kept.settle(question(), "cpu", Counting())
    body = json.loads(kept.path(question()).read_text())
    assert body.pop("model")["class"] == "model:Linear"
    assert body == {
        "work": "training",
        "shape": [1, 4, 4],
        "precision": "bfloat16",
        "milliseconds": {"float32": 66.0, "bfloat16": 41.0},
        "disagree": [],
        "batch_size": 64,
        "device": "cpu",
        "torch": "2.14.1",
        "measured": "2026-01-02T03:04:05+00:00",
    }


def test_of_two_runs_that_measure_at_once_both_go_by_the_first_file(tmp_path: Path) -> None:
    both = Barrier(2)

    def slow(choice: Choice) -> Choice:
        def answer(question: Question, device: str) -> Choice:
            both.wait(10)
            return choice

        return Choices(tmp_path).settle(question(), "cpu", answer)

    with ThreadPoolExecutor(2) as runs:
        first, second = runs.map(slow, (LOW, FULL))
    assert first == second == Choices(tmp_path).read(question())


def test_a_file_that_has_just_been_created_is_waited_for(tmp_path: Path) -> None:
    kept = Choices(tmp_path)
    kept.settle(question(), "cpu", Counting())
    path = kept.path(question())
    content = path.read_text()
    path.write_text("")
    with ThreadPoolExecutor(1) as reader:
        choice = reader.submit(kept.read, question())
        path.write_text(content)
        assert choice.result() == LOW


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"precision": "float16"}'])
def test_a_damaged_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    monkeypatch.setattr(choices, "PATIENCE", 0.01)
    kept = Choices(tmp_path)
    kept.settle(question(), "cpu", Counting())
    kept.path(question()).write_text(content)
    with pytest.raises(InvspecError, match="is damaged") as caught:
        kept.answer(question())
    assert caught.value.hint == "delete it; the next run measures again"


def test_a_precision_of_a_later_version_is_damage_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choices, "PATIENCE", 0.01)
    kept = Choices(tmp_path)
    kept.settle(question(), "cpu", Counting())
    path = kept.path(question())
    path.write_text(path.read_text().replace('"precision": "bfloat16"', '"precision": "fp8"'))
    with pytest.raises(InvspecError, match="is damaged"):
        kept.read(question())


def test_a_choice_that_cannot_be_written_ends_the_run(tmp_path: Path) -> None:
    (tmp_path / "precision").write_text("a file where the folder should be")
    with pytest.raises(Unwritable):
        Choices(tmp_path).settle(question(), "cpu", Counting())


# ─ words ─


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (LOW, "precision: bfloat16 to train Linear on 1x4x4 (measured 41 against 66 ms a step)"),
        (
            FULL,
            "precision: float32 to train Linear on 1x4x4 "
            "(measured 41 against 66 ms a step in bfloat16)",
        ),
        (
            replace(LOW, precision="float32", disagree=("bfloat16",)),
            "precision: float32 to train Linear on 1x4x4 "
            "(measured 66 against 41 ms a step in bfloat16, which disagrees)",
        ),
        (
            replace(LOW, precision="float32", milliseconds={}),
            "precision: float32 to train Linear on 1x4x4 (a step cannot be measured)",
        ),
    ],
)
def test_a_choice_is_told_with_its_reason(tmp_path: Path, choice: Choice, expected: str) -> None:
    kept = Choices(tmp_path)
    kept.settle(question(), "cpu", Counting(choice))
    assert list(kept.sentences([question()])) == [expected]


def test_an_open_question_is_told_as_open(tmp_path: Path) -> None:
    assert list(Choices(tmp_path).sentences([question(work="search")])) == [
        "precision: auto to attack Linear on 1x4x4 (measured by a run; float32 until then)"
    ]


# ─ measuring ─


def test_a_faster_precision_that_disagrees_is_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    def compare(*arguments: Any) -> Comparison:
        return Comparison({"float32": Finding(0.066, True), "bfloat16": Finding(0.041, False)}, 8)

    monkeypatch.setattr(measuring.steps, "compare", compare)
    choice = measured(question(), "cpu")
    assert (choice.precision, choice.disagree) == ("float32", ("bfloat16",))
    assert choice.milliseconds == {"float32": 66.0, "bfloat16": 41.0}


@pytest.mark.parametrize("work", ["training", "search"])
def test_a_real_net_is_measured(work: Any) -> None:
    choice = measured(question(work=work), "cpu")
    assert list(choice.milliseconds) == ["float32", "bfloat16"]
    assert (choice.device, choice.batch_size, choice.disagree) == ("cpu", 8, ())


# an earlier test of this process may have ended its resource tracker, which is started anew
@pytest.mark.filterwarnings("ignore:resource_tracker:UserWarning")
@pytest.mark.slow
def test_a_process_measures_the_nets_of_users(tmp_path: Path) -> None:
    with registered():
        choice = measure(question(toys.Tied()), "cpu")
    assert list(choice.milliseconds) == ["float32", "bfloat16"]


@pytest.mark.slow
def test_a_process_that_dies_leaves_the_choice_of_float32() -> None:
    with registered():
        choice = measure(question(toys.Fatal()), "cpu")
    assert (choice.precision, choice.milliseconds) == ("float32", {})
