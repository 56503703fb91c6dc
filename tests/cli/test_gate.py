"""Claims that gate a change: exit codes, JUnit's XML and a summary."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from workbench import call, registered, tiny, written

from invspec.analysis.claims import Outcome, Verdict
from invspec.report import verdicts


def claim(says: str, bound: dict[str, float]) -> dict[str, Any]:
    return {"says": says, "value": {"measure": "accuracy"}, "expect": {"value": bound}}


FAILS = claim("the accuracy is nearly 1", {"above": 0.999})
UNSURE = claim("the accuracy is above 0.65", {"above": 0.65})


@pytest.fixture(autouse=True)
def _toys() -> Iterator[None]:
    with registered():
        yield


def gated(folder: Path, claims: list[dict[str, Any]], *options: Any, command: str = "run") -> int:
    spec = written(folder, tiny(claims=claims))
    workers = ("--workers", 1) if command == "run" else ()
    return call(command, spec, "--store", folder / "store", *workers, *options)


def test_a_gate_exits_by_its_verdicts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gated(tmp_path, [FAILS], "--gate") == 3
    assert "gate fails: the claim fails" in capsys.readouterr().err
    assert gated(tmp_path, [FAILS]) == 0
    assert gated(tmp_path, [UNSURE, FAILS], "--gate", command="report") == 3
    assert gated(tmp_path, [UNSURE], "--gate", command="report") == 4
    assert "gate is undecided: the claim is undecided" in capsys.readouterr().err


def test_what_is_missing_is_undecided(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "store").mkdir()
    assert gated(tmp_path, [FAILS], "--gate", command="report") == 4
    assert "gate is undecided: the claim is missing" in capsys.readouterr().err


def test_a_failed_task_comes_before_the_gate(tmp_path: Path) -> None:
    spec = tiny(attacks={"breaks": {}}, measures={"accuracy": {"of": "breaks"}}, claims=[FAILS])
    path = written(tmp_path, spec)
    assert call("run", path, "--store", tmp_path / "store", "--workers", 1, "--gate") == 1


@pytest.mark.parametrize("option", [["--gate"], ["--junit", "x.xml"]])
def test_a_spec_without_claims_gates_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: list[str]
) -> None:
    assert gated(tmp_path, [], *option) == 2
    assert f"error: {option[0]}: tiny has no claims\nhint: write some" in capsys.readouterr().err
    assert not (tmp_path / "store" / "train").exists()


def test_junit_has_a_test_for_each_claim(tmp_path: Path) -> None:
    file = tmp_path / "new" / "verdicts.xml"
    assert gated(tmp_path, [FAILS, UNSURE], "--junit", file) == 0
    (suite,) = ElementTree.parse(file).getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("2", "1", "1")
    fails, unsure = suite.findall("testcase")
    assert fails.get("name") == "1. the accuracy is nearly 1"
    (failure,) = fails
    assert failure.tag == "failure"
    assert "expected above 0.999" in (failure.get("message") or "")
    (error,) = unsure
    assert (error.tag, error.get("type")) == ("error", "undecided")


def test_junit_escapes_texts(tmp_path: Path) -> None:
    says = "<b> & \"c\" 'd'"
    gated(tmp_path, [{**FAILS, "says": says}], "--junit", tmp_path / "v.xml")
    (test,) = ElementTree.parse(tmp_path / "v.xml").getroot().iter("testcase")
    assert test.get("name") == f"1. {says}"


def test_junit_replaces_what_no_xml_may_hold(tmp_path: Path) -> None:
    gated(tmp_path, [{**FAILS, "says": "a\a b\0\ufffe"}], "--junit", tmp_path / "v.xml")
    (test,) = ElementTree.parse(tmp_path / "v.xml").getroot().iter("testcase")
    assert test.get("name") == "1. a\ufffd b\ufffd\ufffd"


def test_summaries_are_appended(tmp_path: Path) -> None:
    file = tmp_path / "summary.md"
    file.write_text("# Before\n")
    gated(tmp_path, [FAILS], "--summary", file)
    text = file.read_text()
    assert text.startswith("# Before\n**Gate fails: the claim fails.**")
    assert "| the accuracy is nearly 1 | above 0.999 |" in text


def test_a_file_that_cannot_be_written_is_one_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert gated(tmp_path, [FAILS], "--junit", tmp_path / "file" / "x.xml") == 1
    assert "error: --junit: cannot write" in capsys.readouterr().err


def test_saved_reports_gate_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("report", tmp_path / "a.json", "--gate") == 2
    assert "error: --gate: is not for saved reports" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("outcomes", "decision", "sentence"),
    [
        (["holds", "holds"], "passes", "gate passes: of 2 claims, 2 hold"),
        (["holds", "fails", "missing"], "fails", "of 3 claims, 1 holds, 1 fails and 1 is missing"),
        (["holds", "undecided"], "undecided", "gate is undecided: of 2 claims, 1 holds and 1 is"),
        (["not testable"] * 2, "undecided", "of 2 claims, 2 are not testable"),
        (["holds"], "passes", "gate passes: the claim holds"),
    ],
)
def test_a_decision_in_words(outcomes: list[Outcome], decision: str, sentence: str) -> None:
    judged = [Verdict(Any, outcome) for outcome in outcomes]  # pyright: ignore[reportArgumentType]
    assert verdicts.decision(judged) == decision
    assert sentence in verdicts.sentence(judged)
