"""The choice of a tracker: names, libraries that are not installed, folders."""

import pytest

from invspec.errors import InvspecError, SpecError
from invspec.report import contents
from invspec.report.tracking import trackers


def test_an_unknown_tracker_is_refused(seen, tmp_path):
    with pytest.raises(SpecError, match=r"no tracker 'mlfow'\nhint: did you mean mlflow\?"):
        trackers.export(seen[0], seen[1], "mlfow", None, tmp_path)


@pytest.mark.parametrize("name", trackers.TRACKERS)
def test_a_library_that_is_not_installed_is_one_message(seen, tmp_path, monkeypatch, name):
    monkeypatch.setattr(trackers, "find_spec", lambda package: None)
    message = rf"is not installed\nhint: pip install 'invspec\[{name}\]'"
    with pytest.raises(InvspecError, match=message):
        trackers.export(seen[0], seen[1], name, None, tmp_path)


def test_a_report_without_numbers_is_refused(nothing, tmp_path):
    pytest.importorskip("tensorboard")
    plan, store = nothing
    empty = contents.report(plan, store)
    with pytest.raises(InvspecError, match="nothing of toy is computed yet"):
        trackers.export(empty, store, "tensorboard", None, tmp_path)


def test_a_folder_that_cannot_be_written_is_one_message(seen, tmp_path):
    pytest.importorskip("tensorboard")
    (tmp_path / "file").touch()
    with pytest.raises(InvspecError, match=r"cannot write .*\nhint: choose another --output"):
        trackers.export(seen[0], seen[1], "tensorboard", tmp_path / "file" / "out", tmp_path)


def test_by_default_exports_are_in_the_store(seen, tmp_path):
    pytest.importorskip("tensorboard")
    said = trackers.export(seen[0], seen[1], "tensorboard", None, tmp_path)
    assert f"exported: {tmp_path}/exports/tensorboard/toy-" in said
