"""The command at the end of a report runs as it stands, from the same folder."""

import os
import shlex

import pytest
from registries import untouched
from workbench import call, tiny, written

ATTACK = """\
from invspec.data import Perturbed
from invspec.kinds import Attack

class Mine(Attack):
    by: float = 0.25

    def perturb(self, model, batch, rng):
        return Perturbed.costing((batch.x + self.by).clamp(0, 1), forwards=0, backwards=0)
"""


@pytest.fixture
def work(tmp_path, monkeypatch):
    """The current folder, with the registry `my cards`, the spec `toy.yaml` and `in/toy 2.yaml`."""
    folder = tmp_path / "my cards" / "attack"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text("target: printed_attack:Mine\nsummary: mine\n")
    (tmp_path / "my cards" / "printed_attack.py").write_text(ATTACK)
    (tmp_path / "in").mkdir()
    content = tiny(
        attacks={"mine": {}},
        measures={"accuracy": {"of": "mine"}},
        scales={"small": {"datasets.fake.test": 10}},
    )
    written(tmp_path, content, "toy")
    written(tmp_path / "in", content, "toy 2")
    monkeypatch.chdir(tmp_path)
    for name in ("INVSPEC_DATA", "INVSPEC_STORE"):
        monkeypatch.delenv(name, raising=False)
    with untouched(tmp_path):
        yield tmp_path


def printed(capsys):
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("invspec")]
    assert len(lines) == 1
    return lines[0]


CALLS = {
    "a registry": ["toy.yaml"],
    "a store of another name": ["toy.yaml", "--store", "results of may"],
    "a spec in a folder with a scale": ["in/toy 2.yaml", "--scale", "small"],
    "settings with blanks and quotes": ["toy.yaml", "--set", "title=it's a [b]$HOME[/b] `toy`"],
    "a smoke run": ["toy.yaml", "--smoke"],
    "data": ["toy.yaml", "--data", "in"],
}


@pytest.mark.parametrize("words", CALLS.values(), ids=CALLS)
def test_it_runs_as_it_stands(work, capsys, monkeypatch, words):
    words = [*words, "--registry", "my cards"]
    assert call("run", *words, "--devices", "cpu") == 0
    monkeypatch.delenv("INVSPEC_DATA", raising=False)
    command = printed(capsys)
    first, *rest = shlex.split(command)
    assert (first, rest[0]) == ("invspec", "run")
    assert call(*rest, "--devices", "cpu") == 0
    read = capsys.readouterr()
    assert "found in the store" in read.err
    assert "computed" not in read.err
    assert command in read.out.splitlines()


@pytest.mark.parametrize("variable", ["INVSPEC_STORE", "INVSPEC_DATA"])
def test_folders_of_the_environment_are_repeated_as_options(work, capsys, monkeypatch, variable):
    monkeypatch.setenv(variable, "my folder")
    assert call("run", "toy.yaml", "--registry", "my cards", "--devices", "cpu") == 0
    option = f"--{variable.removeprefix('INVSPEC_').lower()}"
    assert printed(capsys).endswith(f"{option} 'my folder'")


def test_a_report_of_the_last_run_prints_the_command_of_that_run(work, capsys, monkeypatch):
    words = ["toy.yaml", "--registry", "my cards", "--data", "in"]
    assert call("run", *words, "--devices", "cpu") == 0
    capsys.readouterr()
    monkeypatch.delenv("INVSPEC_DATA", raising=False)
    assert call("report") == 0
    words = shlex.split(printed(capsys))
    assert words[1:] == [
        *("run", str(work / "toy.yaml"), "--registry", str(work / "my cards")),
        *("--data", str(work / "in")),
    ]
    assert os.environ["INVSPEC_DATA"] == str(work / "in")
