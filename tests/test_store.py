"""What is kept: whole or not at all, and never believed when it is damaged."""

import errno
import json
import multiprocessing
import os
import shutil
import stat
import threading
import time
from pathlib import Path

import pytest
import torch
from workbench import call, perturb, registered, score, tiny, toys, train, written

from invspec.data import Interval, Outcomes, Row
from invspec.errors import InvspecError
from invspec.execution import store
from invspec.execution.store import Store, StoredTensors, Unwritable, unneeded, versions
from invspec.perform.runtime import Artifact
from invspec.tasks import canonical, key

SHIFT = perturb(toys.Shift())
SCORE = score(SHIFT)
WEIGHTS = Artifact(
    {"w": torch.arange(6.0).view(2, 3), "n": torch.tensor(3)},
    curves={"loss": [2.0, 1.5], "accuracy": [0.25, 0.5]},
)
ATTACKED = Artifact({"x_adv": torch.rand(4, 1, 2, 2), "index": torch.arange(4)})
INDEX, OWN = torch.tensor([4, 7]), Interval(0.1, 0.05, 0.2, 4)
ROWS = (
    Row(interval=OWN, where={"angle": 30.0, "side": "left"}),
    Row(Outcomes(torch.tensor([True, False]), INDEX, (0.0, 1.0)), where={"side": "right"}),
    Row(Outcomes(torch.tensor([0.1, 2.0], dtype=torch.float64), INDEX), level=0.5),
    Row(Outcomes(torch.tensor([-1]), INDEX[:1], (-1.0, float("inf"))), interval=OWN),
)
SCORED = Artifact({"matrix": torch.tensor([[0.0, 1.0]])}, ROWS)


@pytest.fixture
def kept(tmp_path):
    """A store with one artifact of each kind."""
    filled = Store(tmp_path / "store")
    for task, artifact in ((train(), WEIGHTS), (SHIFT, ATTACKED), (SCORE, SCORED)):
        filled.save(task, artifact, seconds=1.5, device="cpu")
    return filled


def finished(root):
    return sorted(path for kind in store.VERBS for path in Path(root, kind).rglob("*"))


# ─ round trips ─


@pytest.mark.parametrize(
    ("task", "artifact"), [(train(), WEIGHTS), (SHIFT, ATTACKED), (SCORE, SCORED)]
)
def test_what_is_loaded_is_what_was_saved(kept, task, artifact):
    found = kept.load(task)
    assert task in kept
    assert (found.rows, found.curves) == (artifact.rows, artifact.curves)
    assert set(found.tensors) == set(artifact.tensors)
    assert len(found.tensors) == len(artifact.tensors)
    for name, tensor in artifact.tensors.items():
        assert torch.equal(found.tensors[name], tensor)
        assert found.tensors[name].dtype == tensor.dtype


def test_rows_that_were_measured_on_the_same_examples_share_an_index_in_the_store(kept):
    names = StoredTensors(kept.folder(SCORE) / "tensors.safetensors")
    assert [name for name in sorted(names) if name.endswith("index")] == [
        "row.1.index",
        "row.3.index",
    ]


def test_a_tensor_that_is_not_there_is_a_key_error(kept):
    with pytest.raises(KeyError, match="path"):
        kept.load(SHIFT).tensors["path"]


def test_a_score_without_tensors_is_kept(tmp_path):
    Store(tmp_path).save(SCORE, Artifact({}, ROWS))
    assert dict(Store(tmp_path).load(SCORE).tensors) == {}


def test_a_folder_says_what_it_is_and_how_it_came_about(kept):
    folder = kept.folder(SCORE)
    assert folder == kept.root / "score" / key(SCORE)[:2] / key(SCORE)
    assert (folder / "task.json").read_text() == canonical(SCORE)
    made = kept.made(SCORE)
    assert (made["seconds"], made["device"], made["torch"]) == (1.5, "cpu", torch.__version__)
    assert set(made["sha256"]) == {"rows.json", "task.json", "tensors.safetensors"}
    assert {"invspec", "commit"} < set(made)


def test_nothing_but_finished_work_stays(kept):
    assert list((kept.root / "partial").iterdir()) == []
    assert [kind for kind, _ in kept.folders()] == ["train", "perturb", "score"]


def test_files_that_are_no_folders_are_passed_over(kept):
    (kept.root / "train" / key(train())[:2] / ".DS_Store").touch()
    (kept.root / "train" / "notes").touch()
    assert [folder for _, folder in kept.folders()] == [
        kept.folder(task) for task in (train(), SHIFT, SCORE)
    ]


# ─ all or nothing ─


def fails_at(number, problem):
    """A stand-in for os.fsync that raises at its number-th call."""
    calls = iter(range(10))

    def fsync(descriptor):
        if next(calls) == number:
            raise problem

    return fsync


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_save_that_fails_midway_leaves_nothing(tmp_path, monkeypatch, number):
    monkeypatch.setattr(
        os, "fsync", fails_at(number, OSError(errno.ENOSPC, "No space left on device"))
    )
    with pytest.raises(
        Unwritable,
        match=r"cannot write to the store .*: No space left on device\nhint: free some space",
    ):
        Store(tmp_path).save(SHIFT, ATTACKED)
    assert finished(tmp_path) == []
    assert list((tmp_path / "partial").iterdir()) == []
    assert SHIFT not in Store(tmp_path)


def test_a_defect_midway_leaves_nothing_and_is_not_taken_for_a_full_disk(tmp_path):
    with pytest.raises(RuntimeError, match="share memory"):
        Store(tmp_path).save(SHIFT, Artifact(dict.fromkeys("ab", torch.zeros(2))))
    assert finished(tmp_path) == []


def test_rows_that_are_not_numbers_are_not_kept(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        Store(tmp_path).save(SCORE, Artifact({}, (Row(interval=Interval(float("nan"), 0, 1, 1)),)))
    assert finished(tmp_path) == []


def test_a_save_that_is_killed_midway_leaves_nothing(tmp_path):
    pid = os.fork()
    if pid == 0:  # the child dies with its files written, a moment before the rename
        store._publish = lambda partial, final: os.kill(os.getpid(), 9)
        Store(tmp_path).save(SHIFT, ATTACKED)
    assert os.waitpid(pid, 0)[1] == 9
    (partial,) = (tmp_path / "partial").iterdir()
    assert (partial / "made.json").exists()
    assert finished(tmp_path) == []
    assert SHIFT not in Store(tmp_path)
    Store(tmp_path).save(SHIFT, ATTACKED)
    assert Store(tmp_path).flaws(SHIFT) == []


def test_a_store_is_made_where_there_is_none(tmp_path):
    Store(tmp_path / "new" / "store").prepare()
    assert list((tmp_path / "new").iterdir()) == [tmp_path / "new" / "store"]
    (tmp_path / "file").touch()
    with pytest.raises(
        Unwritable, match=r"cannot write to the store .*file/store: Not a directory"
    ):
        Store(tmp_path / "file" / "store").prepare()


def test_a_folder_that_cannot_be_made_is_one_message(tmp_path):
    (tmp_path / "store").touch()
    with pytest.raises(Unwritable, match=r"cannot write to the store .*store: Not a directory"):
        Store(tmp_path / "store").save(SHIFT, ATTACKED)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_store_is_one_message(kept):
    for path in (kept.root, *kept.root.rglob("*")):
        if path.is_dir():
            path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        kept.sweep(0)
        assert torch.equal(kept.load(SHIFT).tensors["index"], torch.arange(4))
        with pytest.raises(Unwritable, match="Permission denied"):
            kept.save(perturb(toys.Shift(by=0.5)), ATTACKED)
        with pytest.raises(Unwritable, match="Permission denied"):
            kept.remember({})
    finally:
        for path in (kept.root, *kept.root.rglob("*")):
            path.chmod(0o755)


# ─ two at once ─


def test_threads_that_finish_the_same_task_do_no_harm(tmp_path):
    barrier = threading.Barrier(4)
    errors = []

    def finish():
        barrier.wait()
        try:
            for _ in range(5):
                Store(tmp_path).save(SHIFT, ATTACKED)
        except Exception as problem:
            errors.append(problem)

    threads = [threading.Thread(target=finish) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert Store(tmp_path).flaws(SHIFT) == []
    assert list((tmp_path / "partial").iterdir()) == []


def _save_often(root):
    for _ in range(20):
        Store(root).save(SHIFT, ATTACKED)


def test_processes_that_finish_the_same_task_do_no_harm(tmp_path):
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_save_often, args=(tmp_path,)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert Store(tmp_path).flaws(SHIFT) == []
    assert [folder for _, folder in Store(tmp_path).folders()] == [Store(tmp_path).folder(SHIFT)]


def test_the_first_artifact_stays(kept):
    kept.save(SHIFT, Artifact({"x_adv": torch.zeros(1)}), seconds=9.0)
    assert kept.made(SHIFT)["seconds"] == 1.5
    assert torch.equal(kept.load(SHIFT).tensors["x_adv"], ATTACKED.tensors["x_adv"])


# ─ damage ─


def flip(path, position=-1):
    """Change one bit of a file."""
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["rows.json", "task.json", "tensors.safetensors"])
def test_a_flipped_bit_is_found_and_named(kept, name):
    assert kept.flaws(SCORE) == []
    flip(kept.folder(SCORE) / name)
    (flaw,) = kept.flaws(SCORE)
    assert flaw.startswith(f"{name}: SHA-256 is ")


@pytest.mark.parametrize("name", ["rows.json", "task.json", "tensors.safetensors"])
def test_a_missing_file_is_named(kept, name):
    (kept.folder(SCORE) / name).unlink()
    assert kept.flaws(SCORE) == [f"{name}: missing"]


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b"{}", b"\xff"])
def test_a_folder_without_readable_digests_is_flawed(kept, content):
    path = kept.folder(SCORE) / "made.json"
    path.unlink() if content is None else path.write_bytes(content)
    (flaw,) = kept.flaws(SCORE)
    assert flaw.startswith("made.json: ")


def test_an_empty_folder_is_flawed_and_a_missing_one_is_not_there(kept):
    shutil.rmtree(kept.folder(SCORE))
    assert kept.flaws(SCORE) is None
    kept.folder(SCORE).mkdir()
    assert len(kept.flaws(SCORE)) == 1


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rows.json", b"[{"),
        ("rows.json", b'[{"value": 1}]'),
        ("tensors.safetensors", b"torn"),
        ("tensors.safetensors", None),
        ("rows.json", None),
    ],
)
def test_loading_what_is_damaged_is_one_message(kept, name, content):
    path = kept.folder(SCORE) / name
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(
        InvspecError, match=f"{key(SCORE)} is damaged: .*\nhint: run again: it is recomputed"
    ):
        kept.load(SCORE)


def test_provenance_that_cannot_be_read_is_one_message(kept):
    (kept.folder(SCORE) / "made.json").write_text("{")
    with pytest.raises(InvspecError, match="is damaged"):
        kept.made(SCORE)


def test_what_is_set_aside_is_not_deleted(kept):
    aside = kept.set_aside(kept.folder(SCORE))
    assert SCORE not in kept
    assert aside.parent == kept.root / "damaged"
    assert json.loads((aside / "task.json").read_text())["task"] == "Score"
    kept.save(SCORE, SCORED)
    assert kept.set_aside(kept.folder(SCORE)) != aside


def test_what_another_process_set_aside_is_no_error(kept):
    folder = kept.folder(SCORE)
    kept.set_aside(folder)
    kept.set_aside(folder)
    assert SCORE not in kept


# ─ checkpoints ─


def test_a_checkpoint_is_what_was_last_kept(tmp_path):
    kept = Store(tmp_path)
    assert kept.read_checkpoint(train()) is None
    for epoch in (1, 2):
        kept.keep_checkpoint(
            train(), {"epoch": epoch, "model": {"w": torch.full((3,), float(epoch))}}
        )
    state = kept.read_checkpoint(train()) or {}
    assert state["epoch"] == 2
    assert torch.equal(state["model"]["w"], torch.full((3,), 2.0))
    assert kept.read_checkpoint(train(seed=1)) is None
    assert list((tmp_path / "partial").iterdir()) == []
    kept.drop_checkpoint(train())
    kept.drop_checkpoint(train())
    assert kept.read_checkpoint(train()) is None


@pytest.mark.parametrize("content", [b"", b"torn", b"\x80\x04N.", None])
def test_a_torn_or_foreign_checkpoint_is_ignored(tmp_path, content):
    kept = Store(tmp_path)
    kept.keep_checkpoint(train(), {"epoch": 1})
    path = kept.checkpoint(train())
    path.write_bytes(path.read_bytes()[:200] if content is None else content)
    assert kept.read_checkpoint(train()) is None
    assert not path.exists()


def test_a_checkpoint_cannot_run_code(tmp_path):
    kept = Store(tmp_path)
    kept.keep_checkpoint(train(), {})
    torch.save({"state": toys.Shift()}, kept.checkpoint(train()))
    assert kept.read_checkpoint(train()) is None


def test_a_checkpoint_on_a_full_disk_is_one_message_and_the_last_one_stays(tmp_path, monkeypatch):
    kept = Store(tmp_path)
    kept.keep_checkpoint(train(), {"epoch": 1})

    def full(state, path):
        path.write_bytes(b"torn")
        raise RuntimeError("PytorchStreamWriter failed writing file data/1: file write failed")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(Unwritable, match="file write failed"):
        kept.keep_checkpoint(train(), {"epoch": 2})
    assert kept.read_checkpoint(train()) == {"epoch": 1}
    assert list((tmp_path / "partial").iterdir()) == []


# ─ tidying up ─


def test_sweeping_removes_old_half_written_work_only(kept):
    partial = kept.root / "partial"
    for name in ("old", "new"):
        (partial / name).mkdir()
        (partial / name / "model.safetensors").touch()
        (partial / f"{name}.pt").touch()
    hour_ago = time.time() - 3700
    os.utime(partial / "old", (hour_ago, hour_ago))
    os.utime(partial / "old.pt", (hour_ago, hour_ago))
    before = finished(kept.root)
    kept.sweep()
    assert sorted(path.name for path in partial.iterdir()) == ["new", "new.pt"]
    assert finished(kept.root) == before


def test_sweeping_removes_checkpoints_of_finished_trainings_only(kept):
    kept.keep_checkpoint(train(), {})
    kept.keep_checkpoint(train(seed=1), {"epoch": 1})
    kept.sweep()
    assert kept.read_checkpoint(train()) is None
    assert kept.read_checkpoint(train(seed=1)) == {"epoch": 1}


def test_sweeping_beside_another_process_is_no_error(kept, monkeypatch):
    (kept.root / "partial" / "theirs").mkdir()
    looked = Path.stat

    def gone(path, **options):
        if path.name == "theirs":
            raise FileNotFoundError(errno.ENOENT, "finished meanwhile")
        return looked(path, **options)

    monkeypatch.setattr(Path, "stat", gone)
    (kept.root / "partial" / "left").mkdir()
    kept.sweep(older_than=-1)
    assert [path.name for path in (kept.root / "partial").iterdir()] == ["theirs"]
    Store(kept.root / "nowhere").sweep()


def test_unneeded_is_what_is_not_wanted(kept):
    assert unneeded(kept, [train(), SHIFT]) == [kept.folder(SCORE)]
    assert unneeded(kept, [train(), SHIFT, SCORE]) == []


# ─ memory and versions ─


@pytest.mark.parametrize("content", [None, "{", ""])
def test_what_is_remembered_is_recalled_and_no_more(tmp_path, content):
    kept = Store(tmp_path)
    kept.remember({"spec": "a.yaml"})
    assert kept.recall() == {"spec": "a.yaml"}
    (tmp_path / "last.json").unlink() if content is None else (tmp_path / "last.json").write_text(
        content
    )
    assert kept.recall() is None


def test_remembering_where_nothing_can_be_written_is_one_message(tmp_path):
    (tmp_path / "last.json").mkdir()
    with pytest.raises(Unwritable, match="Is a directory"):
        Store(tmp_path).remember({})


@pytest.mark.parametrize(
    ("files", "commit"),
    [
        ({"HEAD": "abc123\n"}, "abc123"),
        ({"HEAD": "ref: refs/heads/main\n", "refs/heads/main": "def456\n"}, "def456"),
        (
            {
                "HEAD": "ref: refs/heads/main\n",
                "packed-refs": "# pack-refs\n789abc refs/heads/main\n^000\n",
            },
            "789abc",
        ),
        ({"HEAD": "ref: refs/heads/main\n", "packed-refs": "789abc refs/heads/other\n"}, "none"),
        ({"HEAD": "ref: refs/heads/main\n"}, "none"),
        ({}, "none"),
    ],
)
def test_the_commit_is_read_without_git(tmp_path, monkeypatch, files, commit):
    for name, text in files.items():
        path = tmp_path / ".git" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(store, "__file__", str(tmp_path / "invspec" / "execution" / "store.py"))
    assert store._commit() == commit
    assert versions()["invspec"]


def test_tensors_are_read_one_by_one(kept, monkeypatch):
    opened = StoredTensors(kept.folder(SHIFT) / "examples.safetensors")
    assert list(opened) == ["index", "x_adv"]
    (kept.folder(SHIFT) / "examples.safetensors").unlink()
    with pytest.raises(FileNotFoundError):
        opened["index"]


# ─ by command ─


def modified(root):
    return {path: (path / "made.json").stat().st_mtime_ns for _, path in Store(root).folders()}


@pytest.fixture
def ran(tmp_path):
    """A tiny spec with two scales that was run in each, and its store."""
    scales = {"wide": {"attacks.shift.by": 0.5}}
    content = tiny(
        attacks={"shift": {"by": 0.25}, "more": {"use": "shift", "by": 0.75}}, scales=scales
    )
    content["measures"] = {"accuracy": {"of": "shift"}, "gap": {"of": ["shift", "more"]}}
    path = written(tmp_path, content)
    with registered():
        for scale in ([], ["--scale", "wide"]):
            assert call("run", path, "--store", tmp_path / "store", "--devices", "cpu", *scale) == 0
        yield path, tmp_path / "store"


def test_the_next_run_computes_exactly_what_verify_found_damaged(ran, capsys):
    spec, root = ran
    before = modified(root)
    assert call("store", "verify", "--store", root) == 0
    assert f"{len(before)} whole, 0 damaged" in capsys.readouterr().out
    victim = sorted((root / "perturb").glob("??/*"))[0]
    flip(victim / "examples.safetensors")

    assert call("store", "verify", "--store", root) == 1
    said = capsys.readouterr().out
    assert f"damaged: perturb {victim.name}: examples.safetensors: SHA-256 is" in said
    assert "1 damaged; the next run computes them again" in said
    assert not victim.exists()
    assert len(list((root / "damaged").iterdir())) == 1
    for scale in ([], ["--scale", "wide"]):  # scores need it no more: they are whole
        assert call("run", spec, "--store", root, "--devices", "cpu", *scale) == 0
    shutil.rmtree(root / "score")
    for scale in ([], ["--scale", "wide"]):
        assert call("run", spec, "--store", root, "--devices", "cpu", *scale) == 0
    after = modified(root)
    assert set(after) == set(before)
    assert {
        path for path in before if after[path] != before[path] and path.parts[-3] != "score"
    } == {victim}


def test_a_run_finds_damage_itself(ran, capsys):
    spec, root = ran
    capsys.readouterr()
    victim = sorted((root / "score").glob("??/*"))[0]
    flip(victim / "rows.json")
    before = modified(root)
    for scale in ([], ["--scale", "wide"]):
        assert call("run", spec, "--store", root, "--devices", "cpu", *scale) == 0
    said = capsys.readouterr().err
    assert said.count("damaged: ") == 1
    assert "rows.json: SHA-256 is" in said
    assert {path for path, time in modified(root).items() if before[path] != time} == {victim}


def test_gc_deletes_what_no_scale_needs(ran, tmp_path, capsys):
    spec, root = ran
    everything = modified(root)
    assert call("store", "gc", spec, "--store", root) == 0
    assert capsys.readouterr().out.endswith(
        f"0 tasks, 0.0 MB not needed (--yes deletes them); {len(everything)} kept\n"
    )

    narrow = written(tmp_path, tiny(), "narrow")
    assert call("store", "gc", narrow, "--store", root) == 0
    assert len(modified(root)) == len(everything)
    listed = capsys.readouterr().out.splitlines()
    assert call("store", "gc", narrow, "--store", root, "--yes") == 0
    assert " deleted; 3 kept" in capsys.readouterr().out
    left = modified(root)
    assert sorted(path.parts[-3] for path in left) == ["perturb", "score", "train"]
    assert {line.split()[1] for line in listed[:-1]} == {
        path.name for path in set(everything) - set(left)
    }
    assert call("run", narrow, "--store", root, "--devices", "cpu") == 0
    assert modified(root) == left
