"""`invspec reproduce` runs the spec of a report again, on a fresh store, and compares."""

import json
import tempfile
from pathlib import Path

import pytest
from registries import untouched
from workbench import call, tiny, written

from invspec.cli import session

MEASURES = {"accuracy": {"of": "pgd"}, "fooled": {"use": "fooling_rate", "of": "pgd"}}
CONTENT = tiny(
    attacks={"pgd": {"eps": {"sweep": [0.05, 0.1]}, "norm": "linf", "steps": 2}},
    measures=MEASURES,
    scales={"small": {"datasets.fake.test": 10}},
    claims=[
        {
            "says": "the attack works",
            "value": {"measure": "fooled", "at": {"pgd.eps": 0.1}},
            "expect": {"value": {"above": 0}},
        }
    ],
)
ATTACK = """\
from invspec.data import Perturbed
from invspec.kinds import Attack

class Mine(Attack):
    def perturb(self, model, batch, rng):
        return Perturbed.costing((batch.x + 0.25).clamp(0, 1), forwards=0, backwards=0)
"""
ONE = ("--devices", "cpu")


@pytest.fixture(autouse=True)
def work(tmp_path, monkeypatch):
    """The current folder; temporary stores are made in its folder `temporary`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("INVSPEC_DATA", raising=False)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    with untouched(tmp_path):
        yield tmp_path


def reported(work, capsys, *options, content=CONTENT, run=True):
    """The path of a JSON report of a run."""
    spec = written(work, content, "toy")
    if run:
        assert call("run", spec, *options, *ONE) == 0
    capsys.readouterr()
    assert call("report", spec, *options, "--format", "json") == 0
    path = work / "report.json"
    path.write_text(capsys.readouterr().out)
    return path


def edited(path, change):
    body = json.loads(path.read_text())
    change(body)
    path.write_text(json.dumps(body))
    return path


OPTIONS = {
    "as it is": (),
    "a scale": ("--scale", "small"),
    "settings": ("--set", "attacks.pgd.steps=3", "--set", "title=it's a 'toy'"),
    "a scale and settings": ("--scale", "small", "--set", "seeds=[4]"),
    "a smoke run": ("--smoke",),
}


@pytest.mark.parametrize("words", OPTIONS.values(), ids=OPTIONS)
def test_a_report_is_equal_to_the_bit(work, capsys, words):
    path = reported(work, capsys, *words)
    assert call("reproduce", path, *ONE) == 0
    read = capsys.readouterr()
    assert read.out == "equal to the bit: keys, values and intervals of 4 cells, 1 claim\n"
    assert "computed" in read.err
    assert list((work / "temporary").glob("invspec-*")) == []


def test_the_spec_need_not_exist_any_more(work, capsys):
    path = reported(work, capsys)
    (work / "toy.yaml").unlink()
    assert call("reproduce", path, *ONE) == 0


def test_an_edited_number_is_found(work, capsys):
    path = edited(reported(work, capsys), lambda body: body["cells"][0].update(value=0.999))
    assert call("reproduce", path, *ONE) == 1
    first, second, third = capsys.readouterr().out.splitlines()
    assert ": value 0.999 there, " in first
    assert second == "different: 1 difference in 4 cells, 1 claim"
    assert third == "  nothing that a report records explains it"


CHANGES = {"outcome": "undecided", "value": 0.999, "low": -0.5, "high": 2.0}


@pytest.mark.parametrize("field", CHANGES)
def test_an_edited_claim_is_found(work, capsys, field):
    value = CHANGES[field]
    path = edited(
        reported(work, capsys), lambda body: body["claims"][0].update({field: CHANGES[field]})
    )
    assert call("reproduce", path, *ONE) == 1
    first, second, _ = capsys.readouterr().out.splitlines()
    assert first.startswith(f"claim 'the attack works': {field} {value} there, ")
    assert second == "different: 1 difference in 4 cells, 1 claim"


def test_another_version_is_named_whether_or_not_numbers_differ(work, capsys):
    path = reported(work, capsys)
    edited(path, lambda body: body["provenance"]["versions"].update(torch=["1.0"]))
    assert call("reproduce", path, *ONE) == 0
    assert "  although torch: 1.0 there, " in capsys.readouterr().out
    edited(path, lambda body: body["cells"][0].update(value=0.999))
    assert call("reproduce", path, *ONE) == 1
    assert "  torch: 1.0 there, " in capsys.readouterr().out


# ─ own methods ─


@pytest.fixture
def mine(work):
    folder = work / "mine"
    (folder / "attack").mkdir(parents=True)
    (folder / "attack" / "mine.yaml").write_text("target: reproduced_attack:Mine\nsummary: mine\n")
    (folder / "reproduced_attack.py").write_text(ATTACK)
    return folder


OWN = tiny(attacks={"mine": {}}, measures={"accuracy": {"of": "mine"}})


def test_a_report_of_own_methods_finds_their_registry(work, mine, capsys):
    path = reported(work, capsys, "--registry", "mine", content=OWN)
    with untouched(work):
        assert call("reproduce", path, *ONE) == 0
    assert "equal to the bit" in capsys.readouterr().out


def test_a_registry_that_moved_is_given(work, mine, capsys):
    with untouched(work):
        path = reported(work, capsys, "--registry", "mine", content=OWN)
    mine.rename(work / "moved")
    with untouched(work):
        assert call("reproduce", path, *ONE) == 2
        assert "no folder mine" in capsys.readouterr().err
    with untouched(work):
        assert call("reproduce", path, "--registry", "moved", *ONE) == 0


def test_own_code_that_was_edited_is_the_reason(work, mine, capsys):
    with untouched(work):
        path = reported(work, capsys, "--registry", "mine", content=OWN)
    (mine / "reproduced_attack.py").write_text(ATTACK.replace("0.25", "0.75 * 1"))
    with untouched(work):
        assert call("reproduce", path, *ONE) == 1
    printed = capsys.readouterr().out
    assert ": key " in printed
    assert "own code in mine: another digest than when the report was made" in printed


# ─ stores ─


def test_a_store_is_kept_and_continued(work, capsys):
    path = reported(work, capsys)
    assert call("reproduce", path, "--store", "again", *ONE) == 0
    capsys.readouterr()
    assert call("reproduce", path, "--store", "again", *ONE) == 0
    assert "found in the store" in capsys.readouterr().err


def test_a_store_with_other_results_is_refused(work, capsys):
    path = reported(work, capsys)
    assert call("reproduce", path, "--store", "store", *ONE) == 2
    assert "holds results, which would not be computed again" in capsys.readouterr().err
    assert call("reproduce", path, "--store", "again", *ONE) == 0
    edited(path, lambda body: body["cells"][0].update(value=0.999))
    assert call("reproduce", path, "--store", "again", *ONE) == 2


def test_an_interrupt_says_whether_the_results_are_kept(work, capsys, monkeypatch):
    path = reported(work, capsys)

    def interrupt(*anything):
        raise KeyboardInterrupt

    monkeypatch.setattr(session, "run", interrupt)
    assert call("reproduce", path, "--store", "again", *ONE) == 130
    assert capsys.readouterr().err.startswith("interrupted; finished work is kept")
    assert call("reproduce", path, *ONE) == 130
    assert capsys.readouterr().err == ""
    assert list((work / "temporary").glob("invspec-*")) == []


# ─ bad input ─


def test_bad_input_is_one_message_and_exits_with_2(work, capsys):
    (work / "report.json").write_text("{}")
    assert call("reproduce", "report.json") == 2
    assert capsys.readouterr().err.startswith("error: report.json: not a report that can be made")
    assert call("reproduce", "nowhere.json") == 2
    assert "error: nowhere.json: cannot be read" in capsys.readouterr().err


def test_a_spec_that_is_wrong_in_the_report_is_named(work, capsys):
    path = reported(work, capsys)

    def change(body):
        body["recipe"]["spec"] = (
            body["recipe"]["spec"].replace("use: pgd", "use: pgdd").replace("pgd:", "pgdd:", 1)
        )

    edited(path, change)
    assert call("reproduce", path, *ONE) == 2
    assert "toy.yaml" in capsys.readouterr().err


def test_a_report_without_numbers_is_refused(work, capsys):
    Path("store").mkdir()
    path = reported(work, capsys, run=False)
    assert call("reproduce", path, *ONE) == 2
    assert "has no numbers to compare" in capsys.readouterr().err
