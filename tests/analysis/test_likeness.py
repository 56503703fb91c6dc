"""Tasks are alike in their seed, their scale, their settings or their kind, the closest first."""

from dataclasses import replace

import pytest
from workbench import FAKE, perturb, score, toys, train

from invspec.analysis.history import Descriptions
from invspec.analysis.likeness import CLOSENESS, passes
from invspec.attacks.fgsm import FGSM
from invspec.attacks.pgd import PGD
from invspec.attacks.union_max import UnionMax
from invspec.datasets.fake import Fake
from invspec.defences.adversarial_training import AdversarialTraining
from invspec.defences.fast_adversarial_training import FastAdversarialTraining
from invspec.defences.standard import Standard
from invspec.kinds import Sample, plain
from invspec.measures.accuracy import Accuracy
from invspec.measures.fooling_rate import FoolingRate
from invspec.models.linear import Linear
from invspec.models.mlp import MLP


def closest(first, second):
    """How close two tasks are; None if they are not alike."""
    works = Descriptions()
    pairs = zip(works.work(first).likenesses, works.work(second).likenesses, strict=True)
    return next((name for name, (a, b) in zip(CLOSENESS, pairs, strict=True) if a == b), None)


def amount(task):
    return Descriptions().work(task).amount


def standard(**changes):
    return Standard(**{"epochs": 1, "batch_size": 8, "lr": 0.1, **changes})


def pgd(**changes):
    return PGD(**{"eps": 0.1, "steps": 5, **changes})


@pytest.mark.parametrize(
    ("changes", "closeness"),
    [
        ({"seed": 1}, "seed"),
        ({"defence": standard(epochs=9)}, "scale"),
        ({"defence": standard(examples=10)}, "scale"),
        ({"dataset": FAKE.model_copy(update={"train": 240})}, "scale"),
        ({"defence": standard(lr=0.2, epochs=9)}, "settings"),
        ({"defence": AdversarialTraining(attack=pgd())}, None),
        ({"model": MLP(hidden=(8,))}, None),
        ({"dataset": Fake(shape=(3, 4, 4), classes=3, train=24, test=20)}, None),
    ],
)
def test_trainings(changes, closeness):
    assert closest(train(), train(**changes)) == closeness


def test_a_feature_net_counts_by_its_model():
    beside = train(features=train(model=MLP(hidden=(8,))))
    assert closest(beside, train()) is None
    assert closest(beside, train(features=train())) is None
    other = train(seed=1, features=train(seed=1, model=MLP(hidden=(8,)), defence=standard(lr=0.2)))
    assert closest(beside, other) == "seed"


def test_nets_of_one_class_are_alike_in_kind():
    first, second = (train(model=MLP(hidden=(width,))) for width in (8, 16))
    assert closest(first, second) == "kind"
    assert closest(perturb(pgd(), first), perturb(pgd(), second)) == "kind"
    assert closest(score(perturb(pgd(), first)), score(perturb(pgd(), second))) == "kind"


@pytest.mark.parametrize(
    ("other", "closeness"),
    [
        (perturb(pgd(), train(seed=1)), "seed"),
        (perturb(pgd(), part=(0, 7)), "seed"),
        (perturb(pgd(steps=50)), "scale"),
        (perturb(pgd(), sample=Sample(limit=5)), "scale"),
        (perturb(pgd(eps=0.2)), "settings"),
        (perturb(pgd(), train(defence=AdversarialTraining(attack=pgd()))), "settings"),
        (perturb(pgd(), precision="bfloat16"), None),
        (perturb(pgd(), after=perturb(pgd(eps=0.05))), None),
        (perturb(FGSM(eps=0.1)), None),
        (train(), None),
    ],
)
def test_attacks(other, closeness):
    assert closest(perturb(pgd()), other) == closeness


@pytest.mark.parametrize(
    ("other", "closeness"),
    [
        (score(perturb(pgd(), train(seed=1))), "seed"),
        (score(perturb(pgd(steps=50))), "scale"),
        (score(perturb(FGSM(eps=0.1))), "settings"),
        (replace(score(perturb(pgd())), oracle=train(seed=5)), None),
        (score(perturb(pgd()), measure=FoolingRate()), None),
    ],
)
def test_scores(other, closeness):
    assert closest(score(perturb(pgd()), measure=Accuracy()), other) == closeness


def test_a_training_does_its_examples_times_its_epochs():
    assert amount(train(defence=standard(epochs=3))) == 3 * FAKE.train
    assert amount(train(defence=standard(epochs=3, examples=5))) == 3 * 5
    # the data set has no more
    assert amount(train(defence=standard(examples=1000))) == FAKE.train


def test_an_adversarial_training_does_its_inner_steps_too():
    defence = AdversarialTraining(attack=pgd(steps=7), epochs=2)
    assert amount(train(defence=defence)) == FAKE.train * 2 * (1 + 7)


def test_attacks_for_a_collapse_are_not_counted_on_every_batch():
    defence = FastAdversarialTraining(epochs=3)
    assert (defence.fallback.steps, defence.probe.steps) == (2, 10)
    assert amount(train(defence=defence)) == FAKE.train * 3 * (1 + 1)


def test_an_attack_does_its_examples_times_its_steps_and_restarts():
    assert amount(perturb(pgd(steps=7, restarts=3), part=(5, 15))) == 10 * 7 * 3


def test_a_score_does_the_examples_of_all_attacks():
    assert amount(score(perturb(pgd()), perturb(FGSM(eps=0.1), part=(0, 10)))) == 30


def test_an_attack_made_of_others_does_the_passes_of_all():
    union = UnionMax(attacks=(pgd(steps=5), pgd(steps=2, restarts=3)))
    assert passes(plain(union)) == 1 + 5 + 6


def test_methods_without_passes_visit_each_example_once():
    assert passes(plain(toys.Shift(by=0.1))) == passes(plain(Linear())) == 1
