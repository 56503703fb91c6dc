"""The worker's side of a slot: what it needs to join, and which messages it streams."""

from __future__ import annotations

import pytest
from workbench import TOYS, registered, train

from invspec.errors import InvspecError
from invspec.execution import wire
from invspec.execution.pools import slots
from invspec.execution.pools.slots import QueueChannel, Slot, Terms, admit, appears, check_versions
from invspec.execution.provenance import versions
from invspec.execution.worker import WorkerConfig


@pytest.fixture
def cards_of_toys():
    with registered():
        yield


def config(root, *registries):
    return WorkerConfig("cpu", 8, root, registries)


TERMS = Terms.of_this_process()


def test_a_slot_joins_and_streams_the_messages_of_a_task(tmp_path, cards_of_toys):
    slot = Slot(config(tmp_path), TERMS)
    message, mark = slot.join()
    assert message[0] == "joined"
    assert (tmp_path / mark).is_file()
    *before, last = slot.perform(wire.to_json(train()))
    assert last[0] == "done"
    assert {message[0] for message in before} <= {"progress", "alive", "computed"}


def test_a_slot_whose_worker_breaks_says_so(tmp_path, monkeypatch):
    def breaks(channel, config):
        channel.send(("joined", "here", "cpu"))
        raise ValueError("toy trouble")

    monkeypatch.setattr(slots, "serve", breaks)
    slot = Slot(config(tmp_path), TERMS)
    slot.join()
    assert list(slot.perform("")) == [("faulty", "ValueError: toy trouble")]


def test_progress_is_sent_once_a_second_and_all_else_at_once(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(slots.time, "monotonic", lambda: now[0])
    channel = QueueChannel()
    for now[0] in (0.0, 0.4, 0.8, 1.2, 1.6, 2.3):
        channel.send(("progress", int(now[0] * 10), 30, {}))
    channel.send(("done", 2.4))
    sent = [channel.messages.get_nowait() for _ in range(channel.messages.qsize())]
    assert [message[1] for message in sent] == [0, 12, 23, 2.4]


def test_a_machine_with_other_versions_is_refused():
    with pytest.raises(InvspecError, match=r"far has torch .* \(the run has 1\.0\)") as caught:
        check_versions(versions() | {"torch": "1.0"}, "far")
    assert caught.value.hint == "install the same versions on every machine"


@pytest.mark.parametrize(("here", "there"), [("none", "abc"), ("abc", "none"), ("abc", "abc")])
def test_an_installed_package_that_does_not_know_its_commit_is_accepted(monkeypatch, here, there):
    monkeypatch.setattr(slots, "versions", lambda: {"commit": here})
    check_versions({"commit": there}, "far")


def test_another_commit_is_refused(monkeypatch):
    monkeypatch.setattr(slots, "versions", lambda: {"commit": "b" * 40})
    with pytest.raises(InvspecError, match=r"far has commit b{12} \(the run has a{12}\)"):
        check_versions({"commit": "a" * 40}, "far")


def test_a_refusal_is_a_message(tmp_path):
    refused, mark = Slot(config(tmp_path), Terms({"torch": "1.0"}, None)).join()
    assert (refused[0], mark) == ("refused", "")
    assert "(the run has 1.0)" in refused[1]


@pytest.mark.parametrize("option", ["--registry", "--store"])
def test_a_folder_that_the_machine_lacks_is_named_with_its_option(tmp_path, monkeypatch, option):
    monkeypatch.setattr(slots, "LAG", 0.0)
    missing = tmp_path / "missing"
    settings = config(missing) if option == "--store" else config(tmp_path, missing)
    with pytest.raises(InvspecError, match=f"no folder {missing} on ") as caught:
        admit(settings, TERMS)
    assert caught.value.hint.startswith(option)
    assert not missing.exists()


def test_the_registries_of_the_run_are_added(tmp_path, monkeypatch):
    added = []
    monkeypatch.setattr(slots.cards, "add", added.append)
    admit(config(tmp_path, TOYS), TERMS)
    assert added == [TOYS]


@pytest.mark.parametrize(("own", "expected"), [(None, "/run/data"), ("/own/data", "/own/data")])
def test_a_machine_may_keep_data_elsewhere(tmp_path, monkeypatch, own, expected):
    monkeypatch.delenv(slots.DATA, raising=False)
    if own:
        monkeypatch.setenv(slots.DATA, own)
    else:
        # so that it is removed after the test
        monkeypatch.setenv(slots.DATA, "")
        monkeypatch.delenv(slots.DATA)
    admit(config(tmp_path), Terms(versions(), "/run/data"))
    assert slots.os.environ[slots.DATA] == expected


def test_a_file_that_a_network_file_system_shows_late_is_waited_for(tmp_path, monkeypatch):
    path, naps = tmp_path / "late", []

    def sleep(seconds):
        naps.append(seconds)
        if len(naps) == 3:
            path.touch()

    monkeypatch.setattr(slots.time, "sleep", sleep)
    assert appears(path)
    assert len(naps) == 3
    assert not appears(tmp_path / "never", seconds=0)
