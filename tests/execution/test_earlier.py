"""Results of another version of the code are found by what they are of."""

from workbench import FAKE, train

from invspec import tasks
from invspec.execution.earlier import AnyVersion
from invspec.execution.execute import execute
from invspec.execution.pools.local import LocalExecutor
from invspec.execution.store import Store
from invspec.models.linear import Linear


def test_a_task_of_another_version_is_found_and_is_not_reused_by_runs(tmp_path, monkeypatch):
    store, trained = Store(tmp_path), train()
    list(execute([trained], store, LocalExecutor()))
    monkeypatch.setattr(Linear, "version", 99)
    tasks.forget()
    try:
        wider = AnyVersion(tmp_path)
        assert trained not in store
        assert trained in wider
        assert len(wider.load(trained).tensors)
        assert wider.made(trained)["device"] == "cpu"
        assert wider.digest(trained)
        assert train(seed=1) not in wider
        assert train(dataset=FAKE.model_copy(update={"test": 5})) not in wider
    finally:
        monkeypatch.undo()
        tasks.forget()
    assert trained in store
    assert AnyVersion(tmp_path).others == {}
