"""Artifacts in a store are complete or absent, and damage is detected."""

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
from safetensors import safe_open
from workbench import perturb, score, toys, train

from invspec.data import Interval, Outcomes, Row
from invspec.errors import InvspecError
from invspec.execution import disk, tensors
from invspec.execution.disk import Unwritable
from invspec.execution.runtime import StoreRuntime
from invspec.execution.store import VERBS, Store, unneeded
from invspec.execution.tensors import StoredTensors
from invspec.execution.worker import perform
from invspec.measures.accuracy import Accuracy
from invspec.measures.top_k_error import TopKError
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
    Row(Outcomes(torch.tensor([0.5]), INDEX[:1], second=Outcomes(torch.tensor([0.5]), INDEX[1:]))),
    Row(Outcomes(torch.tensor([-1]), INDEX[:1], (-1.0, float("inf"))), interval=OWN),
)
SCORED = Artifact({"matrix": torch.tensor([[0.0, 1.0]])}, ROWS)


@pytest.fixture
def filled(tmp_path):
    """A store with one artifact of each kind."""
    store = Store(tmp_path / "store")
    for task, artifact in ((train(), WEIGHTS), (SHIFT, ATTACKED), (SCORE, SCORED)):
        store.save(task, artifact, seconds=1.5, device="cpu")
    return store


def finished(root):
    return sorted(path for kind in VERBS for path in Path(root, kind).rglob("*"))


# ─ round trips ─


def test_rows_measured_on_the_same_examples_share_an_index(filled):
    names = StoredTensors(filled.folder(SCORE) / "tensors.safetensors")
    assert [name for name in sorted(names) if name.endswith("index")] == [
        "row.1.index",
        "row.3.index",
        "row.3.second.index",
    ]


@pytest.mark.parametrize(
    ("task", "artifact"), [(train(), WEIGHTS), (SHIFT, ATTACKED), (SCORE, SCORED)]
)
def test_a_loaded_artifact_equals_the_saved_one(filled, task, artifact):
    loaded = filled.load(task)
    assert task in filled
    assert (loaded.rows, loaded.curves) == (artifact.rows, artifact.curves)
    assert set(loaded.tensors) == set(artifact.tensors)
    assert len(loaded.tensors) == len(artifact.tensors)
    for name, tensor in artifact.tensors.items():
        assert torch.equal(loaded.tensors[name], tensor)
        assert loaded.tensors[name].dtype == tensor.dtype


def test_a_missing_tensor_is_a_key_error(filled):
    with pytest.raises(KeyError, match="path"):
        filled.load(SHIFT).tensors["path"]


def test_a_score_without_tensors_is_stored(tmp_path):
    Store(tmp_path).save(SCORE, Artifact({}, ROWS))
    assert dict(Store(tmp_path).load(SCORE).tensors) == {}


def test_a_folder_holds_the_task_and_how_it_was_made(filled):
    folder = filled.folder(SCORE)
    assert folder == filled.root / "score" / key(SCORE)[:2] / key(SCORE)
    assert (folder / "task.json").read_text() == canonical(SCORE)
    made = filled.made(SCORE)
    assert (made["seconds"], made["device"], made["torch"]) == (1.5, "cpu", torch.__version__)
    assert set(made["sha256"]) == {"rows.json", "task.json", "tensors.safetensors"}
    assert {"invspec", "commit"} < set(made)


def test_no_partial_artifact_stays(filled):
    assert list((filled.root / "partial").iterdir()) == []
    assert [kind for kind, _ in filled.folders()] == ["train", "perturb", "score"]


def test_stray_files_are_ignored(filled):
    (filled.root / "train" / key(train())[:2] / ".DS_Store").touch()
    (filled.root / "train" / "notes").touch()
    assert [folder for _, folder in filled.folders()] == [
        filled.folder(task) for task in (train(), SHIFT, SCORE)
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
        match=r"cannot write to the store .*: No space left on device\nhint: free some disk space",
    ):
        Store(tmp_path).save(SHIFT, ATTACKED)
    assert finished(tmp_path) == []
    assert list((tmp_path / "partial").iterdir()) == []
    assert SHIFT not in Store(tmp_path)


def test_a_defect_midway_leaves_nothing_and_is_not_reported_as_a_full_disk(tmp_path):
    with pytest.raises(RuntimeError, match="share memory"):
        Store(tmp_path).save(SHIFT, Artifact(dict.fromkeys("ab", torch.zeros(2))))
    assert finished(tmp_path) == []


def test_rows_that_are_nan_are_not_stored(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        Store(tmp_path).save(SCORE, Artifact({}, (Row(interval=Interval(float("nan"), 0, 1, 1)),)))
    assert finished(tmp_path) == []


def test_a_save_that_is_killed_midway_leaves_nothing(tmp_path):
    pid = os.fork()
    if pid == 0:
        # the child dies after it has written its files, just before the rename
        disk.publish = lambda partial, final: os.kill(os.getpid(), 9)
        Store(tmp_path).save(SHIFT, ATTACKED)
    assert os.waitpid(pid, 0)[1] == 9
    (partial,) = (tmp_path / "partial").iterdir()
    assert (partial / "made.json").exists()
    assert finished(tmp_path) == []
    assert SHIFT not in Store(tmp_path)
    Store(tmp_path).save(SHIFT, ATTACKED)
    assert Store(tmp_path).flaws(SHIFT) == []


def test_prepare_creates_the_folder(tmp_path):
    Store(tmp_path / "new" / "store").prepare()
    assert list((tmp_path / "new").iterdir()) == [tmp_path / "new" / "store"]
    (tmp_path / "file").touch()
    with pytest.raises(
        Unwritable, match=r"cannot write to the store .*file/store: Not a directory"
    ):
        Store(tmp_path / "file" / "store").prepare()


def test_a_folder_that_cannot_be_created_is_one_message(tmp_path):
    (tmp_path / "store").touch()
    with pytest.raises(Unwritable, match=r"cannot write to the store .*store: Not a directory"):
        Store(tmp_path / "store").save(SHIFT, ATTACKED)


@pytest.mark.skipif(os.geteuid() == 0, reason="root can write anywhere")
def test_a_read_only_store_is_one_message(filled):
    for path in (filled.root, *filled.root.rglob("*")):
        if path.is_dir():
            path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        filled.sweep(0)
        assert torch.equal(filled.load(SHIFT).tensors["index"], torch.arange(4))
        with pytest.raises(Unwritable, match="Permission denied"):
            filled.save(perturb(toys.Shift(by=0.5)), ATTACKED)
    finally:
        for path in (filled.root, *filled.root.rglob("*")):
            path.chmod(0o755)


# ─ two at once ─


def test_threads_may_finish_the_same_task(tmp_path):
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


def test_processes_may_finish_the_same_task(tmp_path):
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_save_often, args=(tmp_path,)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert Store(tmp_path).flaws(SHIFT) == []
    assert [folder for _, folder in Store(tmp_path).folders()] == [Store(tmp_path).folder(SHIFT)]


def test_the_first_artifact_stays(filled):
    filled.save(SHIFT, Artifact({"x_adv": torch.zeros(1)}), seconds=9.0)
    assert filled.made(SHIFT)["seconds"] == 1.5
    assert torch.equal(filled.load(SHIFT).tensors["x_adv"], ATTACKED.tensors["x_adv"])


# ─ damage ─


def flip(path, position=-1):
    """Change one bit of a file."""
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["rows.json", "task.json", "tensors.safetensors"])
def test_a_flipped_bit_is_detected(filled, name):
    assert filled.flaws(SCORE) == []
    flip(filled.folder(SCORE) / name)
    (flaw,) = filled.flaws(SCORE)
    assert flaw.startswith(f"{name}: SHA-256 is ")


@pytest.mark.parametrize("name", ["rows.json", "task.json", "tensors.safetensors"])
def test_a_missing_file_is_detected(filled, name):
    (filled.folder(SCORE) / name).unlink()
    assert filled.flaws(SCORE) == [f"{name}: missing"]


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b"{}", b"\xff"])
def test_a_folder_without_readable_digests_is_flawed(filled, content):
    path = filled.folder(SCORE) / "made.json"
    path.unlink() if content is None else path.write_bytes(content)
    (flaw,) = filled.flaws(SCORE)
    assert flaw.startswith("made.json: ")


def test_an_empty_folder_is_flawed_and_a_missing_one_is_absent(filled):
    shutil.rmtree(filled.folder(SCORE))
    assert filled.flaws(SCORE) is None
    filled.folder(SCORE).mkdir()
    assert len(filled.flaws(SCORE)) == 1


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
def test_loading_a_damaged_artifact_is_one_message(filled, name, content):
    path = filled.folder(SCORE) / name
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(
        InvspecError,
        match=f"{key(SCORE)} is damaged: .*\nhint: `invspec store verify` moves it aside",
    ):
        filled.load(SCORE)


def test_unreadable_provenance_is_one_message(filled):
    (filled.folder(SCORE) / "made.json").write_text("{")
    with pytest.raises(InvspecError, match="is damaged"):
        filled.made(SCORE)


def test_a_folder_moved_aside_is_not_deleted(filled):
    target = filled.move_aside(filled.folder(SCORE))
    assert SCORE not in filled
    assert target.parent == filled.root / "damaged"
    assert json.loads((target / "task.json").read_text())["task"] == "Score"
    filled.save(SCORE, SCORED)
    assert filled.move_aside(filled.folder(SCORE)) != target


def test_a_folder_that_another_process_moved_is_no_error(filled):
    folder = filled.folder(SCORE)
    filled.move_aside(folder)
    filled.move_aside(folder)
    assert SCORE not in filled


# ─ sweeping ─


def test_sweeping_deletes_old_partial_artifacts_only(filled):
    partial = filled.root / "partial"
    for name in ("old", "new"):
        (partial / name).mkdir()
        (partial / name / "model.safetensors").touch()
        (partial / f"{name}.pt").touch()
    hour_ago = time.time() - 3700
    os.utime(partial / "old", (hour_ago, hour_ago))
    os.utime(partial / "old.pt", (hour_ago, hour_ago))
    before = finished(filled.root)
    filled.sweep()
    assert sorted(path.name for path in partial.iterdir()) == ["new", "new.pt"]
    assert finished(filled.root) == before


def test_sweeping_deletes_checkpoints_of_finished_trainings_only(filled):
    filled.checkpoints.save(train(), {})
    filled.checkpoints.save(train(seed=1), {"epoch": 1})
    filled.sweep()
    assert filled.checkpoints.load(train()) is None
    assert filled.checkpoints.load(train(seed=1)) == {"epoch": 1}


def test_sweeping_while_another_process_sweeps_is_no_error(filled, monkeypatch):
    (filled.root / "partial" / "theirs").mkdir()
    stat_of = Path.stat

    def gone(path, **options):
        if path.name == "theirs":
            raise FileNotFoundError(errno.ENOENT, "deleted meanwhile")
        return stat_of(path, **options)

    monkeypatch.setattr(Path, "stat", gone)
    (filled.root / "partial" / "ours").mkdir()
    filled.sweep(older_than=-1)
    assert [path.name for path in (filled.root / "partial").iterdir()] == ["theirs"]
    Store(filled.root / "nowhere").sweep()


def test_folders_of_tasks_that_are_not_needed(filled):
    assert unneeded(filled, [train(), SHIFT]) == [filled.folder(SCORE)]
    assert unneeded(filled, [train(), SHIFT, SCORE]) == []


@pytest.fixture
def opened(monkeypatch):
    """The names of tensors that are read from files, and of the files that are opened."""
    read, files = [], []

    class Spy:
        def __init__(self, path, framework):
            files.append(path.name)
            self.file = safe_open(path, framework)
            self.keys, self.get_slice = self.file.keys, self.file.get_slice

        def get_tensor(self, name):
            read.append(name)
            return self.file.get_tensor(name)

    monkeypatch.setattr(tensors, "safe_open", Spy)
    return read, files


def test_tensors_are_read_on_access_from_a_file_that_is_opened_once(filled, opened):
    stored = filled.load(SHIFT).tensors
    assert list(stored) == ["index", "x_adv"]
    assert "index" in stored
    assert "path" not in stored
    assert opened == ([], ["examples.safetensors"])
    for _ in range(2):
        assert torch.equal(stored["x_adv"], ATTACKED.tensors["x_adv"])
        assert torch.equal(stored.rows("x_adv", 1, 3), ATTACKED.tensors["x_adv"][1:3])
    assert opened == (["x_adv", "x_adv"], ["examples.safetensors"])


def test_the_rows_of_a_score_and_its_tensors_come_from_one_file(filled, opened):
    filled.load(SCORE).tensors["matrix"]
    assert opened[1] == ["tensors.safetensors"]


def test_a_score_opens_the_tensors_of_each_input_once(tmp_path, opened):
    def runtime():
        return StoreRuntime(Store(tmp_path), torch.device("cpu"), 8, lambda *report: None)

    for task in (train(), SHIFT):
        assert perform(task, runtime())[0] == "done"
    for measure, files in ((Accuracy(), []), (TopKError(k=2), ["model.safetensors"])):
        opened[1].clear()
        assert perform(score(SHIFT, measure=measure), runtime())[0] == "done"
        assert sorted(opened[1]) == ["examples.safetensors", *files]
