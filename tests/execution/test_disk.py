"""What file systems refuse, and what network file systems show late."""

import errno
import os
import threading
import time

import pytest

from invspec.execution import disk


def refusing(monkeypatch, number):
    """os.fsync refuses folders, or all paths, with an error."""

    def fsync(descriptor):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fsync)


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP])
def test_a_file_system_may_refuse_to_flush_folders_but_not_files(tmp_path, monkeypatch, number):
    (tmp_path / "file").touch()
    refusing(monkeypatch, number)
    disk.flush(tmp_path)
    with pytest.raises(OSError, match=os.strerror(number)):
        disk.flush(tmp_path / "file")


def test_a_folder_that_cannot_be_flushed_for_another_reason_is_an_error(tmp_path, monkeypatch):
    refusing(monkeypatch, errno.EIO)
    with pytest.raises(OSError, match="Input/output error"):
        disk.flush(tmp_path)


def test_what_appears_late_is_waited_for(tmp_path):
    path = tmp_path / "late"
    timer = threading.Timer(0.3, path.touch)
    timer.start()
    assert disk.appears(path.exists, 30)
    timer.join()


def test_what_never_appears_is_given_up_in_time():
    looks = []
    start = time.monotonic()
    assert not disk.appears(lambda: bool(looks.append(0)), 0.3)
    # pauses of 20, 40, 80, 160 ms
    assert 0.3 <= time.monotonic() - start < 2
    assert len(looks) <= 6


def test_a_folder_is_looked_at_once_and_its_root_only_if_it_lacks_it(tmp_path, monkeypatch):
    opened, system_open = [], os.open

    def watched(path, flags):
        opened.append(path)
        return system_open(path, flags)

    monkeypatch.setattr(disk.os, "open", watched)
    here, nowhere, root = str(tmp_path / "here"), str(tmp_path / "nowhere"), str(tmp_path)
    (tmp_path / "here").mkdir()
    disk.look_again(here, root)
    assert opened == [here]
    disk.look_again(nowhere, root)
    assert opened[1:] == [nowhere, root, nowhere]


def test_temporary_files_of_spared_names_are_not_deleted(tmp_path):
    for name in ("spared", "other"):
        disk.temporary(tmp_path, name).touch()
    disk.delete_abandoned(tmp_path, -1, spared={"spared"})
    (partial,) = (tmp_path / "partial").iterdir()
    assert partial.name.startswith("spared-")
