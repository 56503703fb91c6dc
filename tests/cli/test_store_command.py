"""`invspec store`: sizes, damage, and what no spec needs."""

import os
import shutil
from collections import Counter
from typing import Any

import pytest
import yaml
from workbench import call, perturb, planned, registered, score, tiny, toys, train, written

from invspec.cli import store as command
from invspec.execution.execute import execute
from invspec.execution.leases import Leases
from invspec.execution.pools.local import LocalExecutor
from invspec.execution.store import Store
from invspec.tasks import needs


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")


def flip(path, position=-1):
    """Change one bit of a file."""
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def modified(root):
    return {path: (path / "made.json").stat().st_mtime_ns for _, path in Store(root).folders()}


# ─ on a store ─


@pytest.fixture
def scored(tmp_path):
    """A store with a training, an attack and a score."""
    list(execute([score(perturb(toys.Shift()))], Store(tmp_path), LocalExecutor()))
    return Store(tmp_path)


def test_tasks_are_counted_by_kind(scored, tmp_path, capsys):
    def rows():
        return [line.split() for line in capsys.readouterr().out.splitlines()[1:]]

    command.show_sizes(scored)
    assert [row[:2] for row in rows()] == [
        ["train", "1"],
        ["perturb", "1"],
        ["score", "1"],
        ["examine", "0"],
    ]
    command.show_sizes(Store(tmp_path / "nowhere"))
    assert [row[1:] for row in rows()] == [["0", "0.0"]] * 4


def test_claims_are_counted_by_process(scored, capsys):
    with Leases(scored.root) as run:
        run.claim(train(seed=1))
        run.claim(train(seed=2))
        command.show_sizes(scored)
    expected = f"process {os.getpid()} on {os.uname().nodename} has claimed 2 tasks"
    assert capsys.readouterr().out.splitlines()[-1] == expected
    command.show_sizes(scored)
    assert "claimed" not in capsys.readouterr().out


def test_verify_names_moves_and_counts_damaged_artifacts(scored, capsys):
    assert command.count_damaged(scored) == 0
    folder = scored.folder(train())
    (folder / "task.json").unlink()
    assert command.count_damaged(scored) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "3 intact, 0 damaged"
    assert lines[1].startswith(f"damaged: train {folder.name}: task.json: missing; moved to ")
    assert lines[2] == "2 intact, 1 damaged; the next run recomputes them"
    assert train() not in scored


# ─ after runs ─


@pytest.fixture
def ran(tmp_path):
    """A tiny spec, run at its own scale and at another, and its store."""
    content: dict[str, Any] = tiny(
        attacks={"shift": {"by": 0.25}, "more": {"use": "shift", "by": 0.75}},
        measures={"accuracy": {"of": "shift"}, "gap": {"of": ["shift", "more"]}},
        scales={"wide": {"attacks.shift.by": 0.5}},
    )
    spec = written(tmp_path, content)
    with registered():
        run_both(spec, tmp_path / "store")
        yield spec, tmp_path / "store"


def run_both(spec, root):
    for scale in ([], ["--scale", "wide"]):
        assert call("run", spec, "--store", root, "--devices", "cpu", *scale) == 0


def test_the_next_run_recomputes_exactly_what_verify_found_damaged(ran, capsys):
    spec, root = ran
    before = modified(root)
    assert call("store", "verify", "--store", root) == 0
    assert f"{len(before)} intact, 0 damaged" in capsys.readouterr().out
    victim = sorted((root / "perturb").glob("??/*"))[0]
    flip(victim / "examples.safetensors")

    assert call("store", "verify", "--store", root) == 1
    out = capsys.readouterr().out
    assert f"damaged: perturb {victim.name}: examples.safetensors: SHA-256 is" in out
    assert "1 damaged; the next run recomputes them" in out
    assert not victim.exists()
    assert len(list((root / "damaged").iterdir())) == 1
    # the scores are intact, so that no run looks for the attack until they are gone
    run_both(spec, root)
    assert not victim.exists()
    shutil.rmtree(root / "score")
    run_both(spec, root)
    after = modified(root)
    assert set(after) == set(before)
    changed = {path for path in before if after[path] != before[path]}
    assert {path for path in changed if path.parts[-3] != "score"} == {victim}


def test_a_run_detects_damage_itself(ran, capsys):
    spec, root = ran
    capsys.readouterr()
    victim = sorted((root / "score").glob("??/*"))[0]
    flip(victim / "rows.json")
    before = modified(root)
    run_both(spec, root)
    err = capsys.readouterr().err
    assert err.count("damaged: ") == 1
    assert "rows.json: SHA-256 is" in err
    assert {path for path, time in modified(root).items() if before[path] != time} == {victim}


def test_gc_spares_what_a_run_computes_from(ran, tmp_path, capsys):
    spec, root = ran
    narrow = written(tmp_path, tiny(), "narrow")
    cells = planned(yaml.safe_load(spec.read_text())).cells
    goal = next(cell.goal for cell in cells if isinstance(cell.goal.measure, toys.Gap))
    with Leases(root) as run:
        run.claim(goal)
        assert call("store", "gc", narrow, "--store", root, "--yes") == 0
        assert all(task in Store(root) for task in (goal, *needs(goal)))
    assert call("store", "gc", narrow, "--store", root, "--yes") == 0
    assert goal not in Store(root)


def test_gc_keeps_what_settings_need(ran, tmp_path, capsys):
    spec, root = ran
    content = {**yaml.safe_load(spec.read_text()), "scales": {}}
    bare = written(tmp_path, content, "bare")
    assert call("store", "gc", bare, "--store", root) == 0
    assert not capsys.readouterr().out.startswith("0 tasks")
    # the scale wide is this setting
    assert call("store", "gc", bare, "--store", root, "--set", "attacks.shift.by=0.5") == 0
    assert capsys.readouterr().out.startswith("0 tasks, 0.0 MB would be deleted")


def test_gc_names_what_it_cannot_read(ran, tmp_path, capsys):
    _, root = ran
    narrow = written(tmp_path, tiny(seeds=[5]), "narrow")
    for path in (root / "train").glob("??/*/task.json"):
        path.write_text("{}")
    assert call("store", "gc", narrow, "--store", root) == 0
    listed = capsys.readouterr().out.splitlines()
    assert "train that cannot be read: 1 task, 0.0 MB" in listed
    assert any(line.startswith("perturb Shift: 3 tasks") for line in listed)


def test_gc_deletes_what_no_scale_needs(ran, tmp_path, capsys):
    spec, root = ran
    everything = modified(root)
    assert call("store", "gc", spec, "--store", root) == 0
    expected = f"0 tasks, 0.0 MB would be deleted (--yes deletes them); {len(everything)} kept\n"
    assert capsys.readouterr().out.endswith(expected)

    narrow = written(tmp_path, tiny(), "narrow")
    assert call("store", "gc", narrow, "--store", root) == 0
    assert len(modified(root)) == len(everything)
    listed = capsys.readouterr().out.splitlines()
    assert call("store", "gc", narrow, "--store", root, "--yes") == 0
    assert " deleted; 3 kept" in capsys.readouterr().out
    remaining = modified(root)
    assert sorted(path.parts[-3] for path in remaining) == ["perturb", "score", "train"]
    deleted = Counter(path.parts[-3] for path in set(everything) - set(remaining))
    assert listed[:-1] == [
        f"perturb Shift on Linear, Standard: {deleted['perturb']} tasks, 0.0 MB",
        "score Accuracy on Linear, Standard: 1 task, 0.0 MB",
        f"score Gap on Linear, Standard: {deleted['score'] - 1} tasks, 0.0 MB",
    ]
    assert call("run", narrow, "--store", root, "--devices", "cpu") == 0
    assert modified(root) == remaining
