"""What tasks will take, from the times of like tasks in a store."""

import pytest
from workbench import perturb, score, toys, train

from invspec.analysis import forecast as module
from invspec.analysis.forecast import Seconds, forecast
from invspec.attacks.fgsm import FGSM
from invspec.attacks.pgd import PGD
from invspec.defences.standard import Standard
from invspec.execution import provenance
from invspec.execution.store import Store
from invspec.kinds import Sample
from invspec.perform.runtime import Artifact
from invspec.tasks import Examine

CPU, CARD = "cpu", "NVIDIA H200"


def took(store, task, seconds, device=CPU):
    store.save(task, Artifact({}), seconds=seconds, device=device)


def longer(epochs, **changes):
    return train(defence=Standard(epochs=epochs, batch_size=8, lr=0.1), **changes)


def all_equal(seconds):
    return Seconds(seconds, seconds, seconds)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def test_an_empty_store_says_nothing(store):
    expected = forecast([train()], [], store)
    assert expected.devices == []
    assert expected.seconds(train(), CPU) is None
    estimate = expected.estimate([train()], CPU)
    assert (estimate.seconds, estimate.unlike, estimate.basis) == (all_equal(0.0), 1, 0)


def test_a_task_takes_what_another_seed_took(store):
    took(store, train(), 6.0)
    assert forecast([train(seed=1)], [train()], store).seconds(train(seed=1), CPU) == all_equal(6.0)


def test_an_examination_takes_what_that_of_another_seed_took(store):
    first, second = (Examine(toys.Stated(), train(seed=seed), (), Sample(), 64) for seed in (0, 1))
    took(store, train(), 6.0)
    took(store, first, 2.0)
    assert forecast([second], [first], store).seconds(second, CPU) == all_equal(2.0)
    assert forecast([second], [], store).seconds(second, CPU) == all_equal(2.0)


def test_tasks_of_other_plans_count_too(store):
    took(store, train(), 6.0)
    assert forecast([train(seed=1)], [], store).seconds(train(seed=1), CPU) == all_equal(6.0)


def test_epochs_and_examples_scale_the_time(store):
    took(store, longer(2), 6.0)
    assert forecast([longer(8)], [], store).seconds(longer(8), CPU) == all_equal(24.0)
    attack, wider = perturb(PGD(eps=0.1, steps=5)), perturb(PGD(eps=0.1, steps=20), part=(0, 10))
    took(store, attack, 3.0)
    assert forecast([wider], [attack], store).seconds(wider, CPU) == all_equal(6.0)


def test_the_closest_tasks_alone_are_asked(store):
    took(store, longer(1), 1.0)
    took(store, longer(5), 100.0)
    task = longer(5, seed=1)
    estimate = forecast([task], [], store).estimate([task], CPU)
    assert estimate.seconds == all_equal(100.0)
    assert (estimate.like, estimate.basis) == ({"seed": 1}, 1)


def test_devices_are_kept_apart(store):
    took(store, train(), 60.0)
    took(store, train(seed=1), 2.0, CARD)
    took(store, perturb(FGSM(eps=0.1)), 1.0, CARD)
    task, attack = train(seed=2), perturb(FGSM(eps=0.1), train(seed=2))
    expected = forecast([task, attack], [], store)
    assert expected.devices == [CARD, CPU]
    assert expected.seconds(task, CPU) == all_equal(60.0)
    assert expected.seconds(task, CARD) == all_equal(2.0)
    assert expected.seconds(attack, CPU) is None
    assert expected.estimate([task, attack], CPU).unlike == 1


def test_the_range_is_from_the_lower_to_the_upper_quartile(store):
    for seed, seconds in enumerate((1.0, 2.0, 3.0, 4.0, 100.0)):
        took(store, train(seed=seed), seconds)
    task = train(seed=9)
    assert forecast([task], [], store).seconds(task, CPU) == Seconds(2.0, 3.0, 4.0)


def test_an_estimate_adds_tasks_and_counts_its_basis_once(store):
    took(store, train(), 6.0)
    tasks = [train(seed=1), train(seed=2), longer(3), perturb(FGSM(eps=0.1))]
    estimate = forecast(tasks, [train()], store).estimate(tasks, CPU)
    assert estimate.seconds == all_equal(6.0 + 6.0 + 18.0)
    assert estimate.like == {"seed": 2, "scale": 1}
    assert (estimate.unlike, estimate.basis) == (1, 1)


@pytest.mark.parametrize(
    "text",
    ["{", "[]", "{}", '{"seconds": null, "device": "cpu"}', '{"seconds": NaN, "device": ""}'],
)
def test_times_that_cannot_be_read_are_left_out(store, text):
    took(store, train(), 6.0)
    took(store, train(seed=1), 8.0)
    (store.folder(train()) / "made.json").write_text(text)
    expected = forecast([train(seed=2)], [train(), train(seed=1)], store)
    assert expected.devices == [CPU]
    assert expected.seconds(train(seed=2), CPU) == all_equal(8.0)


def test_a_missing_file_is_left_out(store):
    took(store, train(), 6.0)
    (store.folder(train()) / "made.json").unlink()
    assert forecast([train(seed=2)], [train()], store).devices == []


def test_only_times_of_like_tasks_are_read_each_once_and_not_endlessly(store, monkeypatch):
    read = []
    monkeypatch.setattr(
        provenance, "read", lambda folder, real=provenance.read: read.append(folder) or real(folder)
    )
    trained = [train(seed=seed) for seed in range(5)]
    for task in trained:
        took(store, task, 1.0)
        took(store, perturb(FGSM(eps=0.1), task), 1.0)
    forecast([train(seed=9)], trained[:3], store)
    assert sorted(read) == sorted(map(store.folder, trained))
    read.clear()
    monkeypatch.setattr(module, "ENOUGH", 2)
    forecast([train(seed=9)], trained, store)
    assert len(read) == 2


def test_nothing_to_do_reads_nothing(store, monkeypatch):
    took(store, train(), 6.0)
    monkeypatch.setattr(provenance, "read", None)
    assert forecast([], [train()], store).devices == []


def test_slots_share_the_work_but_not_a_chain_of_tasks(store):
    trained = [train(seed=seed) for seed in range(4)]
    attacks = [perturb(FGSM(eps=0.1), task) for task in trained]
    took(store, train(seed=9), 10.0)
    took(store, perturb(FGSM(eps=0.1), train(seed=9)), 2.0)
    expected = forecast([*trained, *attacks], [], store)
    assert expected.wall_seconds(CPU, 1) == 48.0
    assert expected.wall_seconds(CPU, 2) == 24.0
    assert expected.wall_seconds(CPU, 100) == 12.0


def test_scores_without_like_tasks_take_no_wall_time(store):
    took(store, train(seed=9), 10.0)
    task = score(perturb(FGSM(eps=0.1)))
    expected = forecast([train(), *task.of[0], task], [], store)
    assert expected.wall_seconds(CPU, 1) == 10.0
