"""`invspec schema`: the schema of what ships, and of a user's methods beside it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from registries import untouched
from workbench import call

from invspec.registry.cards import shipped

CLASS = """\
from pydantic import Field
from invspec.data import Perturbed
from invspec.kinds import Attack, Pixels
from invspec.registry.fields import AttackField

class Darken(Attack):
    '''Take the same amount from every pixel.'''

    by: Pixels = Field(default=0.5, ge=0, le=1, description="what is taken")
    then: AttackField | None = Field(default=None, description="what follows")

    def perturb(self, model, batch, rng):
        raise NotImplementedError
"""


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A folder with an attack of one's own."""
    folder = tmp_path / "mine"
    (folder / "attack").mkdir(parents=True)
    (folder / "darkening_pixels.py").write_text(CLASS)
    card = "target: darkening_pixels:Darken\nsummary: every pixel loses the same\n"
    (folder / "attack" / "darken.yaml").write_text(card)
    return folder


def schema_of(capsys: pytest.CaptureFixture[str], *options: object) -> dict[str, Any]:
    assert call("schema", *options) == 0
    return json.loads(capsys.readouterr().out)


def wrong(schema: dict[str, Any], **entry: Any) -> list[str]:
    """The paths below an entry that the schema refuses."""
    errors = Draft202012Validator(schema).iter_errors({"attacks": {"darken": entry}})
    return [".".join(map(str, list(error.absolute_path)[2:])) for error in errors]


@pytest.mark.parametrize("is_option", [True, False])
def test_a_users_methods_are_in_the_schema(
    is_option: bool,
    mine: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not is_option:
        monkeypatch.setenv("INVSPEC_REGISTRY", str(mine))
    with untouched(mine):
        schema = schema_of(capsys, *(["--registry", mine] if is_option else []))
    assert wrong(schema, by={"sweep": [0, "1/2"]}, then={"use": "pgd", "eps": 0.1}) == []
    assert wrong(schema, by=2) == ["by"]
    assert wrong(schema, then={"use": "darken", "by": -1}) == ["then.by"]
    field = schema["$defs"]["attack:darken"]["properties"]["by"]
    description = "what is taken (pixels in [0, 1])\n\nnumber 0 to 1, default 0.5"
    assert field["description"] == description
    assert "attack:pgd" in schema["$defs"]


def test_without_a_registry_only_what_ships_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    schema = schema_of(capsys)
    assert "attack:darken" not in schema["$defs"]
    whole = {"title": "mine", "attacks": {"darken": {"by": 0.5}}}
    errors = Draft202012Validator(schema).iter_errors(whole)
    assert any("'use' is a required" in error.message for error in errors)


def test_check_jsonschema_accepts_the_specs_that_ship(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = shutil.which("check-jsonschema", path=sysconfig.get_path("scripts"))
    program = program or shutil.which("check-jsonschema")
    if program is None:
        pytest.skip("check-jsonschema is not installed")
    path = tmp_path / "schema.json"
    path.write_text(json.dumps(schema_of(capsys)))
    specs = sorted(shipped("specs").rglob("*.yaml"))
    ran = subprocess.run(
        [program, "--schemafile", path, *specs], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    bad = tmp_path / "bad.yaml"
    bad.write_text("title: bad\nextends: quickstart\nattacks: {pgd: {epss: 0.3}}\n")
    ran = subprocess.run(
        [program, "--schemafile", path, bad], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 1
    assert "'epss' was unexpected" in ran.stdout
