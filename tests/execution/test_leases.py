"""Leases: who computes a task, and who takes over when that run falls silent."""

import json
import os
import stat
import subprocess
import threading

import pytest
from workbench import perturb, score, toys, train

from invspec.execution import disk, exclusive, leases
from invspec.execution.disk import Unwritable
from invspec.execution.leases import Leases
from invspec.execution.machine import has_ended, machine
from invspec.execution.store import Store, unneeded
from invspec.perform.runtime import Artifact
from invspec.tasks import key, needs

TASK = score(perturb(toys.Shift()))


@pytest.fixture
def others(tmp_path, clock):
    """Makes runs that read one clock."""
    return lambda seconds=60: Leases(tmp_path, seconds, clock)


def path_of(root, task=TASK):
    return root / "leases" / f"{key(task)}.json"


def content_of(root, task=TASK):
    return json.loads(path_of(root, task).read_text())


# ─ claims ─


def test_a_task_is_claimed_by_one_run(tmp_path, others):
    ours, theirs = others(), others()
    assert ours.claim(TASK)
    assert ours.claim(TASK)
    assert not theirs.claim(TASK)
    assert theirs.claim(train())
    assert (ours.held, theirs.held) == (1, 1)
    ours.release(TASK)
    assert theirs.claim(TASK)
    assert sorted(path.name for path in (tmp_path / "leases").iterdir()) == sorted(
        f"{key(task)}.json" for task in (TASK, train())
    )


def test_a_lease_says_who_holds_it_and_what_is_read(tmp_path, others):
    run = others()
    run.claim(TASK)
    (lease,) = Store(tmp_path).leases()
    assert lease.key == key(TASK)
    assert lease.needs == tuple(key(need) for need in needs(TASK))
    assert lease.holder == run.holder(TASK) == f"process {os.getpid()} on {os.uname().nodename}"
    assert run.holder(train()) == "another run"


def test_only_a_lease_that_is_held_is_released(tmp_path, others):
    ours, theirs = others(), others()
    ours.claim(TASK)
    theirs.release(TASK)
    assert path_of(tmp_path).exists()


def test_all_leases_are_released_at_the_end_and_on_an_interrupt(tmp_path):
    def interrupted():
        with Leases(tmp_path) as run:
            run.claim(TASK)
            run.claim(train())
            assert len(Store(tmp_path).leases()) == 2
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list((tmp_path / "leases").iterdir()) == []
    assert [thread for thread in threading.enumerate() if thread.name == "leases"] == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root can write anywhere")
def test_a_read_only_store_is_one_message(tmp_path, others):
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        with pytest.raises(Unwritable, match=r"cannot write to the store .*: Permission denied"):
            others().claim(TASK)
    finally:
        tmp_path.chmod(0o755)


def test_a_full_store_is_one_message(tmp_path, others, monkeypatch):
    def full(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(exclusive, "create", full)
    with pytest.raises(Unwritable, match=r"cannot write to the store .*: No space left on device"):
        others().claim(TASK)


# ─ renewing ─


def test_a_lease_that_is_renewed_is_never_stale(clock, others):
    ours, theirs = others(), others()
    ours.claim(TASK)
    for _ in range(10):
        assert not theirs.claim(TASK)
        clock.now += 59
        ours.renew()


def test_renewing_changes_nothing_but_the_counter(tmp_path, others):
    run = others()
    run.claim(TASK)
    before = content_of(tmp_path)
    for _ in range(12):
        run.renew()
    assert content_of(tmp_path) == {**before, "counter": before["counter"] + 12}


def test_a_thread_renews_all_leases(tmp_path):
    with Leases(tmp_path, seconds=0.04) as run:
        run.claim(TASK)
        run.claim(train())
        before = [path_of(tmp_path, task).read_bytes() for task in (TASK, train())]

        def have_changed():
            now = [path_of(tmp_path, task).read_bytes() for task in (TASK, train())]
            return now[0] != before[0] and now[1] != before[1]

        assert disk.appears(have_changed, 10)


def test_a_lease_that_someone_deleted_is_no_error(tmp_path, others):
    run = others()
    run.claim(TASK)
    path_of(tmp_path).unlink()
    run.renew()
    run.release(TASK)
    assert list((tmp_path / "leases").iterdir()) == []


# ─ taking over ─


def test_a_lease_is_stale_when_unchanged_for_the_time_on_the_readers_clock(clock, others):
    theirs = others()
    others().claim(TASK)
    assert not theirs.claim(TASK)
    clock.now += 59.9
    assert not theirs.claim(TASK)
    clock.now += 0.1
    assert theirs.claim(TASK)


def test_times_of_files_mean_nothing(tmp_path, clock, others):
    theirs = others()
    others().claim(TASK)
    os.utime(path_of(tmp_path), (0, 0))
    assert not theirs.claim(TASK)
    clock.now += 30
    os.utime(path_of(tmp_path), (2e9, 2e9))
    assert not theirs.claim(TASK)
    clock.now += 30
    assert theirs.claim(TASK)


def test_a_change_starts_the_time_again(clock, others):
    ours, theirs = others(), others()
    ours.claim(TASK)
    theirs.claim(TASK)
    clock.now += 59
    ours.renew()
    assert not theirs.claim(TASK)
    clock.now += 59
    assert not theirs.claim(TASK)
    clock.now += 1
    assert theirs.claim(TASK)


def test_exactly_one_of_several_readers_takes_over(tmp_path, clock, others):
    others().claim(TASK)
    takers = [others() for _ in range(6)]
    assert not any(taker.claim(TASK) for taker in takers)
    clock.now += 60
    barrier, won = threading.Barrier(len(takers)), []

    def take(taker):
        barrier.wait()
        if taker.claim(TASK):
            won.append(taker)

    threads = [threading.Thread(target=take, args=(taker,)) for taker in takers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [taker.held for taker in takers].count(1) == len(won) == 1
    assert len(list((tmp_path / "leases").iterdir())) == 1


def test_a_frozen_run_that_wakes_up_leaves_the_lease_of_its_successor(tmp_path, clock, others):
    frozen, theirs = others(), others()
    frozen.claim(TASK)
    theirs.claim(TASK)
    clock.now += 60
    assert theirs.claim(TASK)
    before = content_of(tmp_path)
    frozen.renew()
    frozen.release(TASK)
    assert content_of(tmp_path) == before
    theirs.renew()
    assert content_of(tmp_path) != before


def test_a_lease_that_was_only_created_becomes_stale(tmp_path, clock, others):
    path_of(tmp_path).parent.mkdir()
    path_of(tmp_path).touch()
    theirs = others()
    assert not theirs.claim(TASK)
    assert theirs.holder(TASK) == "another run"
    assert Store(tmp_path).leases() == []
    clock.now += 60
    assert theirs.claim(TASK)


def dead_pid():
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def rewritten(root, **changes):
    """Change what a lease says."""
    path_of(root).write_text(json.dumps({**content_of(root), **changes}))


def test_a_lease_whose_process_ended_on_this_machine_is_stale_at_once(tmp_path, others):
    others().claim(TASK)
    theirs = others()
    rewritten(tmp_path, pid=dead_pid(), machine="another")
    assert not theirs.claim(TASK)
    rewritten(tmp_path, machine=machine())
    assert theirs.claim(TASK)


def test_a_process_that_lives_has_not_ended():
    assert not has_ended(os.getpid())
    # of another user, unless we are root
    assert not has_ended(1)
    assert has_ended(dead_pid())


# ─ in the store ─


def test_sweeping_deletes_old_leases_of_finished_tasks_only(tmp_path, others):
    run, store = others(), Store(tmp_path)
    run.claim(train())
    run.claim(TASK)
    lonely = exclusive.successor(path_of(tmp_path, perturb(toys.Shift())), b"gone")
    lonely.touch()
    store.save(train(), Artifact({}))
    store.sweep()
    assert len(list((tmp_path / "leases").iterdir())) == 3
    for path in (tmp_path / "leases").iterdir():
        os.utime(path, (0, 0))
    store.sweep()
    assert list((tmp_path / "leases").iterdir()) == [path_of(tmp_path)]


def test_sweeping_spares_the_partial_artifact_of_a_claimed_task(tmp_path, others):
    run, store = others(), Store(tmp_path)
    run.claim(TASK)
    for name in (key(TASK), key(train())):
        (tmp_path / "partial" / f"{name}-01234567").mkdir(parents=True)
    store.sweep(older_than=-1)
    (partial,) = (tmp_path / "partial").iterdir()
    assert partial.name.startswith(key(TASK))


def test_what_a_run_computes_and_reads_is_not_unneeded(tmp_path, others):
    store = Store(tmp_path)
    tasks = (train(), perturb(toys.Shift()), TASK, train(seed=1))
    for task in tasks:
        store.save(task, Artifact({}, rows=() if task == TASK else None))
    assert len(unneeded(store, [])) == 4
    run = others()
    run.claim(TASK)
    assert unneeded(store, []) == [store.folder(train(seed=1))]
    run.release(TASK)
    assert len(unneeded(store, [])) == 4


def test_the_default_time_is_renewed_several_times():
    assert leases.SECONDS / leases.RENEWALS <= 20
