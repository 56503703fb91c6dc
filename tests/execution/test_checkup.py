"""`invspec doctor`: what this machine has, and what to do where something is missing."""

import os

import pytest
from workbench import call

from invspec.execution import checkup, disk


@pytest.fixture
def observations(tmp_path):
    def observed(store=tmp_path):
        return {
            f"{observation.subject} {observation.text}": observation
            for observation in checkup.observe(store)
        }

    return observed


def outcomes(observations, subject):
    return [
        observation.outcome
        for observation in observations.values()
        if observation.subject == subject
    ]


def test_versions_devices_registry_and_store_are_named(tmp_path, capsys):
    assert call("doctor", "--store", tmp_path) == 0
    printed = capsys.readouterr().out
    for subject in ("versions", "CPU", "foolbox", "ray", "data", "registry", "store"):
        assert subject in printed
    assert "MKL_CBWR" in printed
    assert "data sets" in printed


def test_a_store_is_probed_and_left_as_it_was(tmp_path, observations):
    assert outcomes(observations(), "store") == ["ok"]
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_store_that_does_not_exist_yet_is_a_note(tmp_path, observations):
    assert outcomes(observations(tmp_path / "new"), "store") == ["note"]
    assert not (tmp_path / "new").exists()


def test_a_store_that_cannot_be_written_is_bad(tmp_path, monkeypatch, observations, capsys):
    def refuse(path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(disk, "flush", refuse)
    assert outcomes(observations(), "store") == ["bad"]
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert call("doctor", "--store", tmp_path) == 1
    assert "No space left on device" in " ".join(capsys.readouterr().out.split())


def test_a_store_whose_clock_differs_is_noted(tmp_path, monkeypatch, observations):
    monkeypatch.setattr(checkup, "_probe", lambda root: (0.01, 300.0))
    texts = [text for text in observations() if text.startswith("store its clock")]
    assert texts == ["store its clock differs from this machine's by 300 s"]


def test_a_folder_of_data_that_is_not_there_is_bad(tmp_path, monkeypatch, observations):
    monkeypatch.setenv("INVSPEC_DATA", os.fspath(tmp_path / "nowhere"))
    assert outcomes(observations(), "data") == ["bad"]


def test_missing_data_sets_are_notes_with_the_expected_path(tmp_path, monkeypatch, observations):
    (tmp_path / "MNIST" / "raw").mkdir(parents=True)
    (tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte.gz").touch()
    monkeypatch.setenv("INVSPEC_DATA", os.fspath(tmp_path))
    known = observations()
    assert outcomes(known, "data") == ["ok", "note", "note"]
    hints = [observation.hint for observation in known.values() if observation.subject == "data"]
    assert "cifar-10-batches-py" in hints[1]
