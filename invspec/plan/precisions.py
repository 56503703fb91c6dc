"""`precision: auto`: what a spec leaves to a measurement, and the tasks once it is answered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from invspec.kinds import Dataset, Defence, HasPrecision, Model, Precision, Shape
from invspec.tasks import Train

# what is computed in the precision: updates of a training, or steps of attacks on the trained net
Work = Literal["training", "search"]

# what a spec says of its attacks
SearchPrecision = Literal["float32", "bfloat16", "auto"]


@dataclass(frozen=True)
class Question:
    """In which precision a model computes a step on images of a shape.

    train: the first training of the model that asks.
    """

    work: Work
    model: Model
    shape: Shape
    train: Train = field(compare=False)

    def __str__(self) -> str:
        """Train PreActResNet18 on 3x32x32."""
        verb = {"training": "train", "search": "attack"}[self.work]
        return f"{verb} {type(self.model).__name__} on {'x'.join(map(str, self.shape))}"


Answer = Callable[[Question], Precision]


def float32(question: Question) -> Precision:
    """The answer as long as nothing is measured."""
    return "float32"


class Precisions:
    """Puts the answers into the tasks of a plan. Each question is asked once."""

    def __init__(self, answer: Answer, search: SearchPrecision) -> None:
        self._answer = answer
        self._search: SearchPrecision = search
        self.answers: dict[Question, Precision] = {}

    def generator(self, against: Train, model: Model, defence: Defence, threads: int = 1) -> Train:
        """The training of a generator. Of auto it gets float32: a generator has no logits to agree.

        It has the data set and the seed of the classifier that it is trained against.
        """
        chosen = _in(defence, "float32") if is_auto(defence) else defence
        return Train(against.dataset, model, chosen, against.seed, threads, against)

    def train(
        self,
        dataset: Dataset,
        model: Model,
        defence: Defence,
        seed: int,
        threads: int = 1,
        features: Train | None = None,
    ) -> Train:
        """A training. If its precision is auto, it gets the answer."""

        def task(defence: Defence) -> Train:
            return Train(dataset, model, defence, seed, threads, features=features)

        if not is_auto(defence):
            return task(defence)
        precision = self._ask("training", task(_in(defence, "float32")))
        return task(_in(defence, precision))

    def search(self, train: Train) -> Literal["float32", "bfloat16"]:
        """The precision in which attacks search on a trained net."""
        if self._search != "auto":
            return self._search
        if self._ask("search", train) == "bfloat16":
            return "bfloat16"
        return "float32"

    def _ask(self, work: Work, train: Train) -> Precision:
        question = Question(work, train.model, train.dataset.shape, train)
        if question not in self.answers:
            self.answers[question] = self._answer(question)
        return self.answers[question]


def is_auto(defence: Defence) -> bool:
    """Whether a plan must choose the precision of a training."""
    return isinstance(defence, HasPrecision) and defence.precision == "auto"


def _in(defence: Defence, precision: Precision) -> Defence:
    return defence.model_copy(update={"precision": precision})
