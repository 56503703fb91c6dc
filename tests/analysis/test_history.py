"""The work of stored tasks is read from their texts, and equals that of the tasks at hand."""

import json

import pytest
from workbench import FAKE, perturb, score, toys, train

from invspec.analysis import history
from invspec.analysis.history import Descriptions, History
from invspec.attacks.pgd import PGD
from invspec.datasets.digits import Digits
from invspec.defences.standard import Standard
from invspec.defences.untrained import Untrained
from invspec.errors import InvspecError
from invspec.execution.store import Store
from invspec.kinds import Sample, Targets
from invspec.perform.runtime import Artifact
from invspec.tasks import Examine, key, needs, verb

SMALL = perturb(PGD(eps=0.1), sample=Sample(limit=9, targets=Targets(each=2)), precision="bfloat16")
LARGE = perturb(PGD(eps=0.2), sample=SMALL.sample, precision="bfloat16", after=SMALL)
OF_NET = Examine(toys.Crashes(), train(), (), Sample(limit=9), 256)
OF_ATTACK = Examine(toys.Stated(), train(), (SMALL,), SMALL.sample, 256)
SCORE = score(LARGE, perturb(toys.Shift(by=0.5)))


def stored(root, *tasks):
    """A store with some tasks and all that they need."""
    store = Store(root)
    for task in tasks:
        stored(root, *needs(task))
        store.save(task, Artifact({}), seconds=1.0, device="cpu")
    return store


def works(store, kind, **changes):
    """The work of the stored tasks of a verb, by key."""
    past = History(store, changes.pop("counts", {}))
    return {folder.name: work for folder, work in past.others(kind, changes.pop("known", ()))}


@pytest.mark.parametrize("task", [train(), SMALL, LARGE, SCORE, OF_NET, OF_ATTACK], ids=verb)
def test_the_work_of_a_stored_task_is_that_of_the_task(tmp_path, task):
    store = stored(tmp_path, task)
    assert works(store, verb(task))[key(task)] == Descriptions().work(task)


def test_examples_of_data_that_do_not_say_them_are_those_of_the_same_data_at_hand(tmp_path):
    task = train(dataset=Digits())
    store, known = stored(tmp_path, task), Descriptions()
    expected = known.work(task)
    assert works(store, "train") == {}
    assert works(store, "train", counts=known.counts) == {key(task): expected}


def test_a_training_on_unknown_data_may_say_its_examples_itself(tmp_path):
    task = train(dataset=Digits(), defence=Standard(epochs=2, lr=0.1, examples=3))
    (work,) = works(stored(tmp_path, task), "train").values()
    assert work.amount == 2 * 3


class Missing(Digits):
    """Data whose training images are not there."""

    def count(self, split):
        raise InvspecError("no folder train")


def test_missing_training_data_are_no_error():
    work = Descriptions().work(train(dataset=Missing()))
    assert work.amount == 1


def test_loading_weights_needs_no_training_data(tmp_path, monkeypatch):
    monkeypatch.setattr(Digits, "count", None)
    task = train(dataset=Digits(), defence=Untrained())
    expected = Descriptions().work(task)
    assert expected.amount == 1
    assert works(stored(tmp_path, task), "train") == {key(task): expected}


def test_known_tasks_are_left_out(tmp_path):
    store = stored(tmp_path, SCORE)
    assert works(store, "train", known={key(train())}) == {}


@pytest.mark.parametrize("text", ["{", "[]", "{}", "null"])
def test_tasks_that_cannot_be_read_are_left_out_with_those_that_name_them(tmp_path, text):
    store = stored(tmp_path, SCORE, train(seed=1))
    (store.folder(train()) / "task.json").write_text(text)
    assert list(works(store, "train")) == [key(train(seed=1))]
    assert works(store, "perturb") == works(store, "score") == {}


def test_a_task_without_its_training_is_left_out(tmp_path):
    store = stored(tmp_path, SCORE)
    store.folder(train()).rename(tmp_path / "gone")
    assert works(store, "perturb") == {}


def test_each_text_is_read_once(tmp_path, monkeypatch):
    store, read = stored(tmp_path, SCORE), []
    monkeypatch.setattr(
        json, "loads", lambda text, loads=json.loads: read.append(text) or loads(text)
    )
    past = History(store, {})
    for kind in ("train", "perturb", "score"):
        assert list(past.others(kind, ()))
    assert len(read) == len(set(read)) == 5


def test_the_first_tasks_of_a_large_store_are_looked_at(tmp_path, monkeypatch):
    store = stored(tmp_path, *(train(seed=seed) for seed in range(5)))
    past = History(store, {})
    monkeypatch.setattr(history, "MOST_OTHERS", 5)
    assert len(list(past.others("train", ()))) == 5
    assert not past.is_cut
    monkeypatch.setattr(history, "MOST_OTHERS", 4)
    assert len(list(past.others("train", ()))) == 4
    assert past.is_cut


def test_methods_of_a_plan_are_described_once(monkeypatch):
    described = []
    monkeypatch.setattr(
        history,
        "described",
        lambda body, real=history.described: described.append(body) or real(body),
    )
    known = Descriptions()
    shared = train().defence
    for seed in range(3):
        known.work(
            train(seed=seed, defence=shared, dataset=FAKE, model=toys.Tied.model_construct())
        )
    assert len(described) == 1 + 1 + 3
