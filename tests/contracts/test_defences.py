"""What every defence promises: it learns, it can be repeated and resumed, and it leaves no trace in
global state.
"""

import copy

import pytest
import torch
from defence_toys import DEFENCES, defence, loss, model_for, trained

from invspec.data import Journal


def weights(model):
    return torch.cat([weight.flatten() for weight in model.state_dict().values()])


every_defence = pytest.mark.parametrize("name", DEFENCES)


@every_defence
def test_training_lowers_the_loss(name):
    before, after = (loss(name, of) for of in (model_for(defence(name)), trained(name, epochs=4)))
    assert after < before


@every_defence
def test_the_same_key_gives_the_same_weights_and_another_key_others(name):
    first = weights(trained(name))
    assert torch.equal(first, weights(trained(name)))
    assert not torch.equal(first, weights(trained(name, key="other")))


@every_defence
def test_the_global_generator_is_left_alone(name):
    before = torch.get_rng_state()
    trained(name)
    assert torch.equal(before, torch.get_rng_state())


@every_defence
def test_the_global_generator_is_of_no_consequence(name):
    first = weights(trained(name))
    with torch.random.fork_rng([]):
        torch.manual_seed(99)
        assert torch.equal(first, weights(trained(name)))


@every_defence
def test_every_weight_still_wants_its_gradient(name):
    assert all(weight.requires_grad for weight in trained(name).parameters())


class Killed(Exception):
    pass


class Kept(Journal):
    """Keeps the last state as a file would, and dies after so many epochs."""

    def __init__(self, path, dies_after):
        self.path, self.left = path, dies_after

    def save(self, state):
        torch.save(state, self.path)
        self.left -= 1
        if self.left == 0:
            raise Killed

    def resume(self):
        return torch.load(self.path, weights_only=True) if self.path.exists() else None


@every_defence
def test_a_training_that_was_killed_goes_on_to_the_same_weights(name, tmp_path):
    whole = trained(name, epochs=3)
    with pytest.raises(Killed):
        trained(name, Kept(tmp_path / "state.pt", dies_after=2), epochs=3)
    resumed = trained(name, Kept(tmp_path / "state.pt", dies_after=9), epochs=3)
    assert torch.equal(weights(whole), weights(resumed))


class Steps(Journal):
    def __init__(self):
        self.seen = []

    def step(self, done, total, **numbers):
        self.seen.append((done, total, copy.copy(numbers)))


@every_defence
def test_progress_is_reported_up_to_the_end(name):
    journal = Steps()
    trained(name, journal)
    done = [done for done, _, _ in journal.seen]
    assert done == sorted(done)
    assert journal.seen[-1][0] == journal.seen[-1][1]
    assert all("loss" in numbers for _, _, numbers in journal.seen)
