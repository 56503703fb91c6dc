"""`invspec check`: the checks alone, on few images, as a table."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from workbench import TOYS, call, planned, registered, tiny, written

from invspec.execution.store import Store
from invspec.tasks import Examine, Perturb, Score, needs

FAKE = {"shape": [1, 4, 4], "classes": 3, "train": 24, "test": 400}
SPEC = tiny(datasets={"fake": FAKE}, checks={"stated": {"status": "fails"}, "finite": {}})


@pytest.fixture(autouse=True)
def _toys(monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    monkeypatch.setenv("COLUMNS", "200")
    with registered():
        yield


def checked(folder: Path, content: dict[str, Any], *options: str, verb: str = "check") -> int:
    path, store = written(folder, content), folder / "store"
    return call(verb, path, "--registry", TOYS, "--store", store, "--devices", "cpu", *options)


def words(line: str) -> list[str]:
    return line.split()


def test_it_prints_a_line_for_each_check_with_reasons_and_hints(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert checked(tmp_path, SPEC) == 0
    out = capsys.readouterr().out
    lines = out.splitlines()
    (stated,) = [line for line in lines if "stated" in line and "0.125" in line]
    numbers = ["0.500", "0.250", "to", "0.750", "0.125", "256"]
    assert words(stated)[:-1] == ["stated", "fails", *numbers]
    assert words(lines[0]) == words("check status value 95 % interval threshold images seconds")
    subjects = [line for line in lines[1 : lines.index(stated)] if not line.startswith(" ")]
    assert subjects[-1] == "shift on linear, standard, seed 0"
    assert any("finite" in line and "passes" in line for line in lines)
    assert "fails: stated of shift on linear, standard, seed 0: the toy is unwell" in lines
    assert "hint: mend the toy" in lines
    assert "Health: 0 of 1 net passes, 1 fails" in lines
    assert any(line.startswith("checks took ") for line in lines)


def test_it_attacks_few_images_and_scores_nothing(tmp_path: Path) -> None:
    checked(tmp_path, SPEC)
    store, plan = Store(tmp_path / "store"), planned(SPEC)
    kinds = [verb for verb, _ in store.folders()]
    assert sorted(kinds) == ["examine", "examine", "perturb", "train"]
    perturbs = [task for task in plan.tasks if isinstance(task, Perturb)]
    assert [task.part for task in perturbs] == [(0, 400)]
    assert not any(task in store for task in perturbs)
    assert not any(task in store for task in plan.tasks if isinstance(task, Score))


def test_it_uses_an_attack_that_a_run_has_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checked(tmp_path, {**SPEC, "checks": "none"}, verb="run")
    store, plan = Store(tmp_path / "store"), planned(SPEC)
    checked(tmp_path, SPEC)
    goals = [examination.goal for examination in plan.examinations]
    assert all(goal in store for goal in goals)
    assert {type(need) for goal in goals for need in needs(goal)} >= {Perturb}
    assert len(list(store.finished("perturb"))) == 1
    assert "Health: 0 of 1 net passes" in capsys.readouterr().out


def test_a_crash_of_a_check_is_an_exit_code_and_never_passes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert checked(tmp_path, {**SPEC, "checks": ["crashes"]}) == 1
    out = capsys.readouterr().out
    assert "not checked" in out
    assert "Health: 0 of 1 net passes, 1 not checked in full" in out


def test_checks_none_leaves_nothing_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert checked(tmp_path, {**SPEC, "checks": "none"}) == 2
    assert "checks: none" in capsys.readouterr().err


def test_a_run_with_a_failing_check_ends_with_0_and_a_line_on_stderr(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert checked(tmp_path, SPEC, verb="run") == 0
    captured = capsys.readouterr()
    expected = "health: 0 of 1 net passes, 1 fails: the toy is unwell (stated)"
    assert expected in captured.err.splitlines()
    assert "the toy is unwell" in captured.out
    examined = [task for task in planned(SPEC).tasks if isinstance(task, Examine)]
    assert all(task in Store(tmp_path / "store") for task in examined)
