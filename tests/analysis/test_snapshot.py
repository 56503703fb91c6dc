"""A report sees each task of a store once, even while other runs change the store."""

from collections import Counter
from typing import ClassVar

import pytest
from workbench import train

from invspec.analysis.snapshot import Snapshot
from invspec.execution.store import Store
from invspec.perform.runtime import Artifact


class Counting(Store):
    """A store that counts what it is asked for."""

    asked: ClassVar[Counter[str]] = Counter()

    def __contains__(self, task):
        self.asked["in"] += 1
        return super().__contains__(task)

    def made(self, task):
        self.asked["made"] += 1
        return super().made(task)


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setattr(Counting, "asked", Counter())
    store = Counting(tmp_path)
    store.save(train(), Artifact({}, curves={"loss": [0.5]}), seconds=2.0, inputs={"a": "b"})
    return store


def test_each_fact_is_read_once(store):
    seen = Snapshot(store)
    for _ in range(3):
        assert train() in seen
        assert train(seed=1) not in seen
        assert seen.made(train())["seconds"] == 2.0
    assert store.asked == {"in": 2, "made": 1}


def test_what_another_run_adds_meanwhile_is_not_seen(store):
    seen = Snapshot(store)
    assert train(seed=1) not in seen
    store.save(train(seed=1), Artifact({}))
    assert train(seed=1) not in seen
    assert train(seed=1) in Snapshot(store)


def test_digests_are_not_kept(store):
    facts = store.made(train())
    assert Snapshot(store).made(train()) == {
        name: facts[name] for name in facts if name not in ("sha256", "inputs")
    }
    assert {"sha256", "inputs"} < set(facts)


def test_artifacts_are_those_of_the_store(store):
    assert Snapshot(store).load(train()).curves == {"loss": [0.5]}
