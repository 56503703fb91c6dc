"""A result is computed again where an input that it was made from has changed."""

import json

import pytest
from runs import SHIFT, outcome, run, tasks_of
from workbench import perturb, score, toys, train

from invspec.execution import events, provenance
from invspec.execution.store import PAYLOAD, Store
from invspec.execution.survey import Survey
from invspec.perform.runtime import Artifact
from invspec.tasks import key, verb

SCORE = score(SHIFT)
# an attack in another result of SHIFT's kind, for a second child of the same training
OTHER = score(perturb(toys.Shift(by=0.5)))


@pytest.fixture
def store(tmp_path):
    """A store in which a score, its attack and its training are finished."""
    run([SCORE], tmp_path)
    return Store(tmp_path)


def replace(store, task):
    """Put another result in the place of a task's, as if it was computed elsewhere."""
    artifact, made = store.load(task), store.made(task)
    tensors = {
        name: tensor / 2 if tensor.is_floating_point() else tensor
        for name, tensor in artifact.tensors.items()
    }
    # the curves and rows are read before their folder is moved
    replaced = Artifact(tensors, artifact.rows, artifact.curves)
    store.move_aside(store.folder(task), "elsewhere")
    store.save(task, replaced, inputs=made["inputs"])


def lose(store, task):
    store.move_aside(store.folder(task))


def edit(store, task, **changes):
    """Rewrite some entries of made.json; None deletes one."""
    path = store.folder(task) / provenance.FILE
    made = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({name: value for name, value in made.items() if value is not None}))


def outdated(happened):
    return [event for event in happened if isinstance(event, events.Outdated)]


def consistent(store, *tasks):
    """Whether tasks were made from what the store has."""
    survey = Survey(store)
    for task in tasks:
        survey.visit(task)
    return not survey.to_do and not survey.outdated


def test_what_was_made_from_another_training_is_computed_again(store):
    replace(store, train())
    found, expected = store.digest(train()), store.record(SHIFT).inputs[key(train())]
    happened = run([SCORE], store.root)
    # first the number of tasks to compute, which counts both
    assert happened[0] == events.Surveyed(2)
    assert tasks_of(events.Done, happened) == [SHIFT, SCORE]
    assert set(tasks_of(events.Outdated, happened)) == {SHIFT, SCORE}
    problem = next(event.problem for event in outdated(happened) if event.task == SHIFT)
    name = key(train())[:12]
    assert problem.startswith(
        f"its input train {name} has changed: SHA-256 is {found[:12]}…, "
        f"it was made from {expected[:12]}…; moved to {store.root / 'outdated'}"
    )
    assert not any(event.during_run for event in outdated(happened))
    assert consistent(store, SCORE)


def test_a_score_below_which_only_an_attack_changed_is_computed_again(store):
    replace(store, SHIFT)
    happened = run([SCORE], store.root)
    assert tasks_of(events.Outdated, happened) == tasks_of(events.Done, happened) == [SCORE]


def test_a_training_that_is_computed_again_and_differs_renews_its_children_in_the_same_run(
    store, monkeypatch
):
    edit_weights(monkeypatch)
    lose(store, train())
    happened = run([SCORE, OTHER], store.root)
    # the training is needed by OTHER alone; that SCORE depends on it shows when it is done
    assert happened[0] == events.Surveyed(3)
    assert [event.during_run for event in outdated(happened)] == [True, True]
    done = tasks_of(events.Done, happened)
    assert done.index(train()) < done.index(SHIFT) < done.index(SCORE)
    assert outcome(happened) == dict.fromkeys([train(), SHIFT, SCORE, *OTHER.of[0], OTHER], "Done")
    assert consistent(store, SCORE, OTHER)


def edit_weights(monkeypatch):
    """From now on, trainings give other weights, as on another device."""
    before = Store.save

    def save(self, task, artifact, **facts):
        if task == train():
            tensors = {name: tensor + 1e-3 for name, tensor in artifact.tensors.items()}
            artifact = Artifact(tensors, artifact.rows, artifact.curves)
        before(self, task, artifact, **facts)

    monkeypatch.setattr(Store, "save", save)


def test_a_training_that_is_computed_again_to_the_same_bits_renews_nothing(store):
    made = [store.made(task) for task in (SHIFT, SCORE)]
    lose(store, train())
    happened = run([SCORE, OTHER], store.root)
    assert outdated(happened) == []
    last = outcome(happened)
    assert (last[SHIFT], last[SCORE], last[OTHER]) == ("Cached", "Cached", "Done")
    assert [store.made(task) for task in (SHIFT, SCORE)] == made


def test_a_child_whose_training_cannot_be_computed_again_stays(store, monkeypatch):
    lose(store, train())
    (store.root / "failures").mkdir()
    monkeypatch.setattr(type(train().defence), "train", lambda *arguments: 1 / 0)
    last = outcome(run([SCORE, OTHER], store.root))
    assert (last[train()], last[OTHER], last[SCORE]) == ("Failed", "Skipped", "Cached")


def test_a_child_of_a_changed_training_whose_attack_fails_does_not_stay(store, monkeypatch):
    edit_weights(monkeypatch)
    lose(store, train())
    monkeypatch.setattr(toys.Shift, "perturb", lambda *arguments: 1 / 0)
    happened = run([SCORE, OTHER], store.root)
    assert set(tasks_of(events.Outdated, happened)) == {SHIFT, SCORE}
    last = outcome(happened)
    assert (last[train()], last[SHIFT], last[SCORE]) == ("Done", "Failed", "Skipped")
    assert SCORE not in store


def test_what_an_outdated_task_reads_is_compared_with_its_digests_first(store, monkeypatch):
    edit_weights(monkeypatch)
    lose(store, train())
    (store.folder(SHIFT) / "examples.safetensors").write_bytes(b"damaged")
    happened = run([SCORE, OTHER], store.root)
    assert tasks_of(events.Damaged, happened) == [SHIFT]
    assert outcome(happened)[SCORE] == "Done"
    assert consistent(store, SCORE, OTHER)


def test_a_deleted_input_is_not_missed(store):
    lose(store, train())
    lose(store, SHIFT)
    assert run([SCORE], store.root) == [events.Surveyed(0), events.Cached(SCORE)]


def test_older_artifacts_without_digests_of_inputs_are_accepted(store):
    for task in (SHIFT, SCORE):
        edit(store, task, inputs=None)
    replace_without_inputs(store)
    assert run([SCORE], store.root) == [events.Surveyed(0), events.Cached(SCORE)]


def replace_without_inputs(store):
    """Another training, as an older version of invspec stored it."""
    replace(store, train())
    edit(store, train(), inputs=None)


def test_damage_below_an_intact_score_is_left_to_verify(store):
    (store.folder(train()) / "model.safetensors").write_bytes(b"damaged")
    assert run([SCORE], store.root) == [events.Surveyed(0), events.Cached(SCORE)]


def test_a_chain_of_attacks_is_renewed_from_the_one_that_changed(tmp_path):
    first = perturb(toys.Shift(by=0.1))
    second = perturb(toys.Shift(by=0.2), after=first)
    third = perturb(toys.Shift(by=0.3), after=second)
    goals = [score(task) for task in (first, second, third)]
    run(goals, tmp_path)
    store = Store(tmp_path)
    replace(store, first)
    happened = run(goals, tmp_path)
    assert {first, train()}.isdisjoint(tasks_of(events.Done, happened))
    assert outcome(happened)[second] == outcome(happened)[goals[0]] == "Done"
    assert consistent(store, *goals)


@pytest.mark.parametrize("task", [train(), SHIFT])
def test_the_digest_of_a_task_is_that_of_its_tensors(store, task):
    made = store.made(task)
    assert store.digest(task) == made["sha256"][PAYLOAD[verb(task)]]


def test_an_unreadable_artifact_has_no_digest(store):
    (store.folder(train()) / provenance.FILE).write_text("[]")
    assert store.digest(train()) is None
    assert store.digest(train(seed=9)) is None
