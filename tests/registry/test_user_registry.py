"""A user's attack is a Python file and a card; code that no card names never runs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from registries import untouched
from workbench import call, command

from invspec import cli
from invspec.cli import options
from invspec.cli.options import Selection
from invspec.errors import SpecError
from invspec.plan import planner
from invspec.registry.cards import shipped
from invspec.spec import document, overlay, resolve

ATTACK = '''\
"""Darken every image."""

from pydantic import Field

from invspec.data import Perturbed
from invspec.kinds import Attack, Pixels


class Darken(Attack):
    """Take the same amount from every pixel."""

    by: Pixels = Field(default=0.5, ge=0, le=1, description="what is taken")

    def perturb(self, model, batch, rng):
        return Perturbed.costing((batch.x - self.by).clamp(*batch.bounds), forwards=0, backwards=0)
'''
CARD = "target: darkening:Darken\nsummary: every pixel loses the same\n"
SPEC = """\
title: my own attack
datasets: {fake: {}}
models: {linear: {}}
defences:
  standard: {}
  hardened: {use: adversarial_training, attack: {use: darken, by: 0.2}}
attacks: {darken: {by: {sweep: [0.0, 1/2]}}}
measures: {rate_of_invariance: {of: darken}}
train: [{dataset: fake, model: linear, defence: [standard, hardened]}]
checks: none
"""


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A folder with the two files."""
    folder = tmp_path / "mine"
    (folder / "attack").mkdir(parents=True)
    (folder / "darkening.py").write_text(ATTACK)
    (folder / "attack" / "darken.yaml").write_text(CARD)
    (tmp_path / "x.yaml").write_text(SPEC)
    return folder


def package() -> dict[Path, bytes]:
    folders = (Path(cli.__file__).parents[1], shipped("registry"))
    files = [
        path for folder in folders for path in folder.rglob("*") if path.suffix in (".py", ".yaml")
    ]
    return {path: path.read_bytes() for path in files}


def warned(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The warnings that `validate` prints of the spec."""
    assert call("validate", "x.yaml", "--registry", "mine") == 0
    return [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning")]


def test_a_card_that_lies_near_and_was_not_added_is_pointed_at(
    mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with untouched(mine):
        assert call("validate", "x.yaml") == 2
    hint = "hint: `--registry mine` adds mine/attack/darken.yaml"
    assert f"no attack is named 'darken'\n{hint}" in capsys.readouterr().err


def test_a_card_that_hides_a_shipped_one_is_warned_of(
    mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with untouched(mine):
        assert warned(capsys) == []
    (mine / "attack" / "darken.yaml").rename(mine / "attack" / "fgsm.yaml")
    (tmp_path / "x.yaml").write_text(
        SPEC.replace("use: darken", "use: fgsm").replace("{darken: {by", "{darken: {use: fgsm, by")
    )
    with untouched(mine):
        (line,) = warned(capsys)
        assert f"{mine / 'attack' / 'fgsm.yaml'} replaces the attack fgsm that ships" in line
        assert "x.yaml:7" in line
        assert call("validate", "x.yaml", "--registry", "mine", "--strict") == 2


def test_a_ball_that_nothing_verifies_is_warned_of(
    mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (mine / "darkening.py").write_text(
        ATTACK.replace("by: Pixels", "eps: Pixels").replace("self.by", "self.eps")
    )
    (tmp_path / "x.yaml").write_text(SPEC.replace("by:", "eps:"))
    with untouched(mine):
        (line,) = warned(capsys)
        assert "Darken has the field eps and no norm: nothing verifies" in line
    sample = "from typing import Literal\n" + (mine / "darkening.py").read_text()
    (mine / "darkening.py").write_text(
        sample.replace("    def perturb", '    norm: Literal["linf"] = "linf"\n\n    def perturb')
    )
    with untouched(mine):
        assert warned(capsys) == []


def test_a_users_attack_is_two_files(
    mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = package()
    with untouched(mine):
        assert call("run", "x.yaml", "--smoke", "--workers", 1, "--registry", "mine") == 0
        assert call("report", "--format", "csv") == 0  # which remembers the registry
        assert call("list", "attack", "darken", "--registry", "mine") == 0
    message = capsys.readouterr()
    assert "tasks: 10 computed" in message.err
    rows = [line for line in message.out.splitlines() if line.startswith("fake,")]
    assert len(rows) == 4
    assert "number 0 to 1 " in message.out
    assert package() == before


@pytest.mark.slow
def test_workers_find_it_too(mine: Path, tmp_path: Path) -> None:
    arguments = (
        "run",
        tmp_path / "x.yaml",
        "--smoke",
        "--registry",
        mine,
        "--store",
        tmp_path / "store",
    )
    ran = command(*arguments, "--workers", 2)
    assert (ran.returncode, "tasks: 10 computed" in ran.stderr) == (0, True), ran.stderr
    again = command(*arguments, "--workers", 1)
    assert "computed" not in again.stderr


def test_without_its_registry_it_is_unknown(
    mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("validate", tmp_path / "x.yaml") == 2
    message = capsys.readouterr().err
    assert message.startswith(
        f"error: {tmp_path}/x.yaml:6: defences.hardened.attack: no attack is named 'darken'\nhint: "
    )


# ─ code that a spec cannot run ────────────────────────────────────────────────────────


@pytest.fixture
def bait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A module on Python's path that leaves a file behind when anything imports it."""
    trace = tmp_path / "imported"
    (tmp_path / "bait.py").write_text(
        f"import pathlib\npathlib.Path({str(trace)!r}).touch()\nclass Bait: ...\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield trace
    sys.modules.pop("bait", None)


ATTEMPTS = {
    "a target as name": "attacks: {pgd: {use: 'bait:Bait'}}",
    "a module as name": "attacks: {pgd: {use: bait}}",
    "a module of the package as name": "attacks: {pgd: {use: invspec.attacks.pgd}}",
    "a path as name": "attacks: {pgd: {use: ./bait.py}}",
    "a path out of the registry": "attacks: {pgd: {use: ../../../bait}}",
    "a name of another kind": "attacks: {pgd: {use: ../defence/standard}}",
    "a field called target": "attacks: {pgd: {target: 'bait:Bait'}}",
    "a key called target": "target: 'bait:Bait'",
    "a field called _target_": "attacks: {pgd: {_target_: bait.Bait}}",
    "a name inside a defence": "defences: {standard: {use: adversarial_training, "
    "attack: {use: 'bait:Bait'}}}",
    "a name inside a sweep": "defences: {standard: {use: adversarial_training, "
    "attack: {sweep: [{use: 'bait:Bait'}]}}}",
    "a python module": "title: !!python/module:bait",
    "a python name": "title: !!python/name:bait.Bait",
    "a python object": "title: !!python/object:bait.Bait {}",
    "a python call": "title: !!python/object/apply:bait.Bait []",
    "a python call, spelt out": "title: !<tag:yaml.org,2002:python/object/new:bait.Bait> []",
    "a tag with a handle": "%TAG !p! tag:yaml.org,2002:python/\n---\n"
    "title: !p!object/apply:bait.Bait []",
    "a tag on a key": "!!python/name:bait.Bait : toy",
    "a measure of code": "measures: {accuracy: {of: '__import__(\"bait\")'}}",
    "an expression": "attacks: {pgd: {eps: '__import__(\"bait\")'}}",
    "an environment variable": "attacks: {pgd: {eps: '${oc.env:HOME}'}}",
    "a template": "attacks: {pgd: {eps: '{{ 1 + 1 }}'}}",
}
GOOD = yaml.safe_load(SPEC.replace("darken", "pgd").replace("by:", "eps:"))


@pytest.mark.parametrize("written", ATTEMPTS.values(), ids=ATTEMPTS)
def test_a_spec_runs_only_code_that_a_card_names(written: str, bait: Path) -> None:
    head = written.split(":")[0]
    rest = (
        ""
        if written.startswith(("%", "!"))
        else yaml.safe_dump({name: part for name, part in GOOD.items() if name != head})
    )
    with pytest.raises(SpecError):
        planner.plan(resolve.resolve(document.parse(f"{written}\n{rest}", "x.yaml")))
    assert not bait.exists()
    assert "bait" not in sys.modules


def test_the_spec_of_these_attempts_is_valid_without_them() -> None:
    assert len(planner.plan(resolve.resolve(document.Document("x.yaml", GOOD))).cells) == 4


def test_a_card_that_names_the_bait_imports_it(bait: Path, tmp_path: Path) -> None:
    (tmp_path / "attack").mkdir()
    (tmp_path / "attack" / "pgd.yaml").write_text("target: bait:Bait\nsummary: mine\n")
    with untouched(tmp_path), pytest.raises(SpecError, match="target bait:Bait: not an attack"):
        options.planned(str(written_to(tmp_path)), Selection(registry=[tmp_path]))
    assert bait.exists()


def written_to(folder: Path) -> Path:
    path = folder / "x.yaml"
    path.write_text(yaml.safe_dump(GOOD))
    return path


def test_settings_and_scales_run_no_code_either(bait: Path, tmp_path: Path) -> None:
    path = written_to(tmp_path)
    for setting in (
        "title=!!python/name:bait.Bait",
        "attacks.pgd.use=bait:Bait",
        "attacks={pgd: {use: bait}}",
    ):
        with pytest.raises(SpecError):
            overlay.load(path, settings=[setting])
    assert not bait.exists()


PROPERTIES = {
    "figures": "@property\n    def figures(self):\n        raise KeyError('x')",
    "range_of": "def range_of(self, quantity=''):\n        raise ValueError('trouble')",
    "exit": "@property\n    def figures(self):\n        raise SystemExit(4)",
}


@pytest.mark.parametrize("body", PROPERTIES.values(), ids=PROPERTIES)
def test_a_class_whose_properties_raise_is_refused_with_their_line(
    tmp_path: Path, body: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "odd"
    (folder / "measure").mkdir(parents=True)
    (folder / "measure" / "odd.yaml").write_text("target: oddly:Odd\nsummary: odd\n")
    (folder / "oddly.py").write_text(
        f"from invspec.measures.accuracy import Accuracy\n\n\nclass Odd(Accuracy):\n    {body}\n"
    )
    path = tmp_path / "x.yaml"
    path.write_text(yaml.safe_dump({**GOOD, "measures": {"odd": {"of": "pgd"}}}))
    with untouched(folder):
        assert call("validate", path, "--registry", folder) == 2
    error = capsys.readouterr().err
    assert "Traceback" not in error
    assert f"{folder / 'oddly.py'}:" in error
    assert "raised" in error


@pytest.mark.parametrize("inside", ["nothing", "attacks"])
def test_a_registry_without_cards_is_refused(tmp_path: Path, inside: str) -> None:
    """As the mistaken folder attacks/ for attack/."""
    folder = tmp_path / "mine"
    folder.mkdir()
    if inside != "nothing":
        (folder / inside).mkdir()
        (folder / inside / "gray.yaml").write_text("target: gray:Gray\nsummary: gray\n")
    message = f"no cards in .*mine: it holds {inside}"
    with untouched(folder), pytest.raises(SpecError, match=message) as caught:
        options.add_registries([folder])
    assert "<kind>/<name>.yaml" in caught.value.hint
