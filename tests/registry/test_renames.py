"""Users' classes that set a name of an older extension API."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from registries import WriteFile, refusal

from invspec.registry.cards import Kind
from invspec.registry.methods import resolve


@pytest.mark.parametrize(
    ("kind", "setting", "new"),
    [
        ("attack", "delicate = True", "`needs_float32`"),
        ("attack", "nested = 'eps'", "`sweep_field`"),
        ("attack", "_settle = None", "a loop in `perturb`, as in invspec.attacks.lst"),
        ("measure", "gathers = True", "`takes_sweep`"),
        ("defence", "companion = None", "the argument `auxiliary` of invspec.training.loop.fit"),
        ("defence", "lesson = None", "the argument `prepare` of invspec.training.loop.fit"),
    ],
)
def test_a_users_class_that_sets_an_old_name_is_refused_with_the_new_one(
    kind: Kind, setting: str, new: str, write: WriteFile, tmp_path: Path
) -> None:
    verb = {"attack": "perturb", "measure": "score", "defence": "train"}[kind]
    old = setting.split()[0]
    write(
        f"old_{kind}.py",
        f"from invspec.kinds import {kind.title()}\n"
        f"class Mine({kind.title()}):\n"
        f"    def {verb}(self, *arguments): ...\n"
        f"Mine.{setting}\n",
    )
    write(f"{kind}/mine.yaml", f"target: old_{kind}:Mine\nsummary: mine\n")
    sys.modules.pop(f"old_{kind}", None)
    assert refusal(lambda: resolve(kind, "mine"), tmp_path) == (
        f"{kind}/mine.yaml: target old_{kind}:Mine: Mine sets `{old}`, which is now {new}\n"
        f"hint: change it in old_{kind}.py"
    )


@pytest.mark.parametrize(
    ("attribute", "message"),
    [
        ("delicate = True", "a class sets `delicate`, which is now `needs_float32`"),
        ("width = 3", "the attribute `width` of a class has no type"),
    ],
)
def test_an_attribute_without_a_type_is_refused_in_our_words(
    attribute: str, message: str, write: WriteFile, tmp_path: Path
) -> None:
    write(
        "untyped.py",
        "from invspec.kinds import Attack\n"
        "class Mine(Attack):\n"
        f"    {attribute}\n"
        "    def perturb(self, model, batch, rng): ...\n",
    )
    write("attack/mine.yaml", "target: untyped:Mine\nsummary: mine\n")
    sys.modules.pop("untyped", None)
    text = refusal(lambda: resolve("attack", "mine"), tmp_path)
    assert message in text
    assert "pydantic" not in text
