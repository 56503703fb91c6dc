"""`precision: auto` by command: a run decides for its store, and every command goes by it."""

import json

import pytest
from workbench import call, registered, tiny, written

from invspec.execution import measuring
from invspec.execution.store import Store

QUICK = {"epochs": 1, "batch_size": 8, "lr": 0.1}
AUTO = tiny(precision="auto", defences={"standard": {**QUICK, "precision": "auto"}})
LOW = tiny(precision="bfloat16", defences={"standard": {**QUICK, "precision": "bfloat16"}})
FULL = tiny()


@pytest.fixture(autouse=True)
def toy_cards():
    with registered():
        yield


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("INVSPEC_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("COLUMNS", "200")
    return Store(tmp_path / "store")


@pytest.fixture
def measured(monkeypatch):
    """Measurements find bfloat16 faster. The questions that were measured."""
    asked = []

    def measure(build, train, device):
        asked.append((build.__name__, str(device)))
        finding = measuring.steps.Finding
        return measuring.steps.Comparison(
            {"float32": finding(0.066, True), "bfloat16": finding(0.041, True)}, 8
        )

    monkeypatch.setattr(measuring.steps, "compare", measure)
    # in this process, which has the changed function
    monkeypatch.setattr(measuring, "measure", measuring.measured)
    return asked


def run(spec):
    assert call("run", spec, "--devices", "cpu") == 0


def folders(store):
    return {folder.name for _, folder in store.folders()}


def test_two_runs_measure_once_and_the_second_computes_nothing(store, measured, tmp_path, capsys):
    spec = written(tmp_path, AUTO)
    run(spec)
    assert measured == [("training_steps", "cpu"), ("search_steps", "cpu")]
    assert "tasks: 3 computed" in capsys.readouterr().err
    run(spec)
    assert len(measured) == 2
    assert "tasks: 1 found in the store" in capsys.readouterr().err


def test_the_results_are_those_of_the_explicit_precision(store, measured, tmp_path, capsys):
    run(written(tmp_path, AUTO))
    kept = folders(store)
    run(written(tmp_path, LOW, "low"))
    assert folders(store) == kept
    run(written(tmp_path, FULL, "full"))
    assert len(folders(store)) == 2 * len(kept)


def test_nothing_stored_says_auto(store, measured, tmp_path):
    run(written(tmp_path, AUTO))
    assert len(folders(store)) == 3
    for _, folder in store.folders():
        assert "auto" not in (folder / "task.json").read_text()
        assert "auto" not in (folder / "made.json").read_text()


def test_a_report_reads_the_choice_and_measures_nothing(store, measured, tmp_path, capsys):
    spec = written(tmp_path, AUTO)
    run(spec)
    measured.clear()
    for arguments in (["report", spec], ["report"]):
        assert call(*arguments) == 0
        out = capsys.readouterr().out
        assert "3 of 3 tasks · seed 0 · attacks in bfloat16" in out
        assert "precision auto: bfloat16 to train Linear on 1x4x4" in out
    assert call("samples", spec, "--format", "csv", "--output", tmp_path / "rows.csv") == 0
    assert len((tmp_path / "rows.csv").read_text().splitlines()) == 21
    assert measured == []


def test_without_a_choice_a_report_has_no_numbers_and_measures_nothing(
    store, measured, tmp_path, capsys
):
    store.root.mkdir()
    spec = written(tmp_path, AUTO)
    assert call("report", spec) == 0
    assert "0 of 3 tasks" in capsys.readouterr().out
    assert call("plan", spec) == 0
    out = capsys.readouterr().out
    assert "3 of 3 tasks to do" in out
    assert "precision: auto to train Linear on 1x4x4 (measured by a run" in out
    assert call("validate", spec) == 0
    assert measured == []
    assert not (store.root / "precision").exists()


def test_gc_keeps_what_a_spec_chose(store, measured, tmp_path, capsys):
    spec = written(tmp_path, AUTO)
    run(spec)
    kept = folders(store)
    assert call("store", "gc", spec, "--yes") == 0
    assert folders(store) == kept


def test_a_store_that_moved_keeps_its_choices(store, measured, tmp_path, monkeypatch, capsys):
    spec = written(tmp_path, AUTO)
    run(spec)
    moved = store.root.rename(tmp_path / "elsewhere")
    monkeypatch.setenv("INVSPEC_STORE", str(moved))
    run(spec)
    assert len(measured) == 2
    assert "tasks: 1 found in the store" in capsys.readouterr().err


def test_a_smoke_run_measures_nothing(store, measured, tmp_path, capsys):
    assert call("run", written(tmp_path, AUTO), "--smoke", "--devices", "cpu") == 0
    assert measured == []
    assert "precision auto" not in capsys.readouterr().out


@pytest.mark.slow
def test_a_real_measurement_is_kept(store, tmp_path, capsys):
    run(written(tmp_path, AUTO))
    records = [json.loads(path.read_text()) for path in (store.root / "precision").iterdir()]
    assert sorted(record["work"] for record in records) == ["search", "training"]
    for record in records:
        assert record["milliseconds"].keys() == {"float32", "bfloat16"}
        assert min(record["milliseconds"].values()) > 0
