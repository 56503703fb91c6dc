"""Whatever a user's class raises is one sentence with the line that raised it."""

from __future__ import annotations

from pathlib import Path

import pytest
from registries import untouched
from workbench import call

from invspec.errors import SpecError
from invspec.registry import cards, own_code

CLASS = """\
from typing import Any, ClassVar
from pydantic import field_validator, model_validator
from invspec.data import Perturbed
from invspec.kinds import Attack, Model

class Mine(Attack):
    level: float = 0.5
{}

    def perturb(self, model, batch, rng):
        return Perturbed.costing(batch.x, forwards=0, backwards=0)
"""
SPEC = """\
title: mine
datasets: {{fake: {{}}}}
models: {{linear: {{}}}}
defences: {{standard: {{}}}}
attacks:
  mine: {{level: 0.25}}
  {other}
measures: {{accuracy: {{of: mine}}}}
train: [{{dataset: fake, model: linear, defence: standard}}]
"""
VALIDATOR = """\
    @field_validator("level")
    @classmethod
    def _check(cls, level):
        {}
        return level"""
PROPERTY = """\
    @property
    def {}(self):
        {}"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a card, in which the test runs."""
    (tmp_path / "mine" / "attack").mkdir(parents=True)
    card = tmp_path / "mine" / "attack" / "mine.yaml"
    card.write_text("target: raising:Mine\nsummary: mine\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(folder: Path, body: str, capsys: pytest.CaptureFixture[str], other: str = "") -> str:
    """What validate says of a spec that uses a class with this body."""
    (folder / "mine" / "raising.py").write_text(CLASS.format(body))
    (folder / "spec.yaml").write_text(SPEC.format(other=other))
    with untouched(folder):
        assert call("validate", "spec.yaml", "--registry", "mine") == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "Traceback" not in printed.err
    return printed.err.replace(f"{folder.resolve()}/", "")


RAISED = {
    "a key that is missing": ("{}['a']", "KeyError: 'a'"),
    "a division by zero": ("1 / 0", "ZeroDivisionError: division by zero"),
    "a wrong type": ("level + 'a'", "TypeError: unsupported operand type(s) for +"),
    "an attribute that is missing": ("level.a", "AttributeError: 'float' object has no attribute"),
    "no message": ("raise RuntimeError", "RuntimeError"),
}


@pytest.mark.parametrize(("line", "message"), RAISED.values(), ids=RAISED)
def test_what_a_validator_raises(
    line: str, message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, hint = refused(folder, VALIDATOR.format(line), capsys).splitlines()
    assert first.startswith(f"error: spec.yaml:6: attacks.mine: Mine raised {message}")
    assert hint == "hint: raised in mine/raising.py:11"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("raise ValueError('too bright')", "too bright"),
        ("assert level > 1, 'too dark'", "too dark"),
        ("assert level > 1", "an assertion failed"),
    ],
)
def test_a_validator_that_refuses_a_value(
    line: str, message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refused(folder, VALIDATOR.format(line), capsys) == (
        f"error: spec.yaml:6: attacks.mine.level: {message}\nhint: raised in mine/raising.py:11\n"
    )


@pytest.mark.parametrize("name", ["wants_target", "gradient_loss", "accepts", "least_classes"])
def test_what_a_property_raises(
    name: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refused(folder, PROPERTY.format(name, "return {}['a']"), capsys) == (
        f"error: mine/raising.py:10: `{name}` raised KeyError: 'a'\n"
        "hint: in the line `return {}['a']`\n"
    )


BROKEN = {
    "a module that fails": ("1 / 0\n", "cannot be imported: ZeroDivisionError: division by zero"),
    "a module that ends the program": (
        "import sys\nsys.exit('bye')\n",
        "cannot be imported: SystemExit: bye",
    ),
    "a class that is no method": ("class Mine: pass\n", "not an attack"),
    "a class of another kind": (
        "from invspec.kinds import Model\nclass Mine(Model):\n    def build(self): ...\n",
        "expected an attack, found a model",
    ),
    "no class": ("", "raising has no Mine"),
}


@pytest.mark.parametrize(("text", "message"), BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("command", ["validate", "list", "schema"])
def test_a_class_that_cannot_be_had(
    text: str, message: str, command: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "mine" / "raising.py").write_text(text)
    (folder / "spec.yaml").write_text(SPEC.format(other=""))
    arguments = {"validate": ["spec.yaml"], "list": ["attack", "mine"], "schema": []}
    with untouched(folder):
        assert call(command, *arguments[command], "--registry", "mine") == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("error: ") == 1
    assert f"mine/attack/mine.yaml: target raising:Mine: {message}" in printed.err


def test_other_mistakes_of_the_spec_are_reported_beside_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    message = refused(folder, VALIDATOR.format("1 / 0"), capsys, other="pgd: {epss: 1}")
    assert "attacks.mine: Mine raised ZeroDivisionError" in message
    assert "error: spec.yaml:7: attacks.pgd.epss: PGD has no such parameter" in message


def test_other_specs_are_validated_beside_one_that_raises(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    body = PROPERTY.format("wants_target", "return {}['a']")
    (folder / "mine" / "raising.py").write_text(CLASS.format(body))
    (folder / "a.yaml").write_text(SPEC.format(other=""))
    (folder / "b.yaml").write_text(SPEC.format(other="").replace("mine: {level", "pgd: {epss"))
    (folder / "c.yaml").write_text(
        SPEC.format(other="").replace("mine", "fgsm").replace("level", "eps")
    )
    with untouched(folder):
        assert call("validate", "a.yaml", "b.yaml", "c.yaml", "--registry", "mine") == 2
    printed = capsys.readouterr()
    assert printed.out.startswith("c.yaml: 1 cell, ")
    assert "`wants_target` raised KeyError: 'a'" in printed.err
    assert "error: b.yaml:6: attacks.pgd.epss: " in printed.err


def test_an_exception_of_other_code_stays_what_it_is() -> None:
    with pytest.raises(KeyError), own_code.explained():
        raise KeyError("ours")


def test_a_mistake_stays_what_it_is() -> None:
    with pytest.raises(SpecError, match="no such thing"), own_code.explained():
        raise SpecError("no such thing")


def test_the_place_is_the_innermost_line_of_the_user(folder: Path) -> None:
    module = folder / "mine" / "calling.py"
    module.write_text("import json\ndef call():\n    return json.loads('{')\n")
    with untouched(folder):
        cards.add(folder / "mine")
        import calling  # pyright: ignore[reportMissingImports]

        with pytest.raises(SpecError) as caught, own_code.explained():
            calling.call()
    assert caught.value.where == f"{module.resolve()}:3"
    assert caught.value.message.startswith("`call` raised JSONDecodeError: Expecting property name")


def test_what_perturb_raises_has_its_line_beside_the_file_of_its_traceback(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    body = CLASS.format("").replace(
        "        return Perturbed", "        1 / 0\n        return Perturbed"
    )
    (folder / "mine" / "raising.py").write_text(body)
    (folder / "spec.yaml").write_text(SPEC.format(other="") + "checks: none\n")
    with untouched(folder):
        words = ("run", "spec.yaml", "--smoke", "--workers", 1, "--registry", "mine")
        assert call(*words, "--store", folder / "store") == 1
    printed = capsys.readouterr().err.replace(f"{folder.resolve()}/", "")
    assert "ZeroDivisionError: division by zero" in printed
    assert "hint: raised in mine/raising.py:11; full traceback in store/failures/" in printed
