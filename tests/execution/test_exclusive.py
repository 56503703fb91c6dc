"""Of several processes, one creates or replaces a file."""

import errno
import os
import random
import threading
from multiprocessing import get_context
from pathlib import Path

import pytest

from invspec.execution import exclusive


def at_once(number, act):
    """What a function of 0, 1, ... returns in as many threads, started together."""
    barrier, results = threading.Barrier(number), [None] * number

    def start(i):
        barrier.wait()
        results[i] = act(i)

    threads = [threading.Thread(target=start, args=(i,)) for i in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_one_of_many_creates_a_file(tmp_path):
    for trial in range(50):
        path = tmp_path / "new" / f"{trial}.json"
        contents = [f"thread {i}".encode() for i in range(6)]
        won = at_once(
            6, lambda i, path=path, contents=contents: exclusive.create(path, contents[i])
        )
        assert won.count(True) == 1
        assert path.read_bytes() == contents[won.index(True)]


@pytest.mark.parametrize("links", [1, 2, 3], ids=["lease", "successor left", "two left"])
def test_one_of_many_replaces_a_stale_file_however_their_steps_interleave(
    tmp_path, monkeypatch, links
):
    dice = random.Random(links)
    read = exclusive.read

    def dawdling(path):
        # threads switch between the steps of a replacement
        threading.Event().wait(dice.choice([0, 0, 1e-4, 1e-3]))
        return read(path)

    monkeypatch.setattr(exclusive, "read", dawdling)
    for trial in range(30):
        path = tmp_path / f"{trial}.json"
        stale = leave_stale(path, links)
        contents = [f"taker {i}".encode() for i in range(6)]
        won = at_once(
            6,
            lambda i, path=path, stale=stale, contents=contents: exclusive.replace(
                path, stale, contents[i]
            ),
        )
        assert won.count(True) == 1
        assert exclusive.chain(path) == [contents[won.index(True)]]
        assert list(tmp_path.glob(f"{trial}.*")) == [path]


def leave_stale(path, links):
    """A stale file with links - 1 successors, as killed processes leave them."""
    contents = [f"killed {i}".encode() for i in range(links)]
    place = path
    for content in contents:
        assert exclusive.create(place, content)
        place = exclusive.successor(place, content)
    assert exclusive.chain(path) == contents
    return contents


def _take(path, gate, wins):
    gate.wait()
    content = str(os.getpid()).encode()
    if exclusive.replace(path, [b"stale"], content):
        wins.put(content)


def test_one_of_many_processes_replaces_a_stale_file(tmp_path):
    context = get_context("fork")
    for trial in range(5):
        path = tmp_path / f"{trial}.json"
        exclusive.create(path, b"stale")
        gate, wins = context.Barrier(5), context.SimpleQueue()
        processes = [context.Process(target=_take, args=(path, gate, wins)) for _ in range(5)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        assert path.read_bytes() == wins.get()
        assert wins.empty()


def test_a_late_taker_does_not_replace_what_an_earlier_one_wrote(tmp_path):
    path = tmp_path / "task.json"
    exclusive.create(path, b"stale")
    assert exclusive.replace(path, [b"stale"], b"early")
    assert not exclusive.replace(path, [b"stale"], b"late")
    assert exclusive.chain(path) == [b"early"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_whose_owner_wrote_meanwhile_is_not_replaced(tmp_path):
    path = tmp_path / "task.json"
    exclusive.create(path, b"counter 1")
    assert exclusive.rewrite(path, b"counter 1", b"counter 2")
    assert not exclusive.replace(path, [b"counter 1"], b"taker")
    assert exclusive.chain(path) == [b"counter 2"]
    assert list(tmp_path.iterdir()) == [path]


def test_an_owner_does_not_write_into_the_file_of_its_successor(tmp_path, monkeypatch):
    path = tmp_path / "task.json"
    exclusive.create(path, b"owner 1")
    read = os.read

    def frozen(descriptor, size):
        content = read(descriptor, size)
        # the owner is frozen between its read and its write
        assert exclusive.replace(path, [b"owner 1"], b"taker 1")
        return content

    monkeypatch.setattr(os, "read", frozen)
    exclusive.rewrite(path, b"owner 1", b"owner 2")
    monkeypatch.undo()
    assert path.read_bytes() == b"taker 1"
    assert not exclusive.rewrite(path, b"owner 2", b"owner 3")


def test_a_rename_that_nfs_repeats_counts_as_one(tmp_path, monkeypatch):
    path = tmp_path / "task.json"
    exclusive.create(path, b"stale")
    replace = Path.replace

    def repeated(source, target):
        replace(source, target)
        return replace(source, target)

    monkeypatch.setattr(Path, "replace", repeated)
    assert exclusive.replace(path, [b"stale"], b"taker")
    assert path.read_bytes() == b"taker"


def test_a_file_that_cannot_be_filled_does_not_stay(tmp_path, monkeypatch):
    def full(descriptor, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space left"):
        exclusive.create(tmp_path / "task.json", b"content")
    assert list(tmp_path.iterdir()) == []


def test_a_stale_handle_of_nfs_is_read_again(tmp_path, monkeypatch):
    (tmp_path / "task.json").write_bytes(b"new")
    handles = iter([OSError(errno.ESTALE, "Stale file handle"), None])
    read_bytes = Path.read_bytes

    def reading(path):
        if problem := next(handles):
            raise problem
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", reading)
    assert exclusive.read(tmp_path / "task.json") == b"new"
    assert list(handles) == []
