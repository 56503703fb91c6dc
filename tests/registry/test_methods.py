"""From names to methods: targets of cards, users' modules, and messages about bad ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from registries import WriteFile, refusal

from invspec.attacks.pgd import PGD
from invspec.kinds import Method
from invspec.registry import cards, methods
from invspec.registry.cards import names
from invspec.registry.methods import make, resolve


def test_two_cards_with_equal_classes_and_settings_are_one_method() -> None:
    assert make("attack", "pgd_mnist", {}) == make(
        "attack", "pgd", {"eps": 0.3, "steps": 40, "step_size": 0.01}
    )
    assert (
        make("attack", "pgd_mnist", {}).identity == PGD(eps=0.3, steps=40, step_size=0.01).identity
    )


def test_parameters_override_those_of_the_card() -> None:
    assert make("attack", "pgd_mnist", {"steps": 7}) == PGD(eps=0.3, steps=7, step_size=0.01)


BAD_TARGETS = {
    "no class": (
        "{target: invspec.attacks.pgd, summary: s}",
        "target invspec.attacks.pgd: not of the form module:Class\n"
        "hint: like invspec.attacks.pgd:PGD",
    ),
    "no module": (
        "{target: ':PGD', summary: s}",
        "target :PGD: not of the form module:Class\nhint: like invspec.attacks.pgd:PGD",
    ),
    "a relative module": (
        "{target: '.pgd:PGD', summary: s}",
        "target .pgd:PGD: not of the form module:Class\nhint: like invspec.attacks.pgd:PGD",
    ),
    "a call": (
        "{target: 'os:system(1)', summary: s}",
        "target os:system(1): not of the form module:Class\nhint: like invspec.attacks.pgd:PGD",
    ),
    "a missing module": (
        "{target: 'nowhere:PGD', summary: s}",
        "target nowhere:PGD: cannot be imported: ModuleNotFoundError: No module named 'nowhere'\n"
        "hint: expected an installed module or one in the folder of the registry",
    ),
    "a missing class": (
        "{target: 'invspec.attacks.pgd:PDG', summary: s}",
        "target invspec.attacks.pgd:PDG: invspec.attacks.pgd has no PDG\n"
        "hint: expected module:Class",
    ),
    "a function": (
        "{target: 'os:system', summary: s}",
        "target os:system: not an attack\nhint: expected a subclass of invspec.kinds.Attack",
    ),
    "another kind": (
        "{target: 'invspec.models.linear:Linear', summary: s}",
        "target invspec.models.linear:Linear: expected an attack, found a model\n"
        "hint: expected a subclass of invspec.kinds.Attack",
    ),
    "an abstract class": (
        "{target: 'invspec.kinds:Attack', summary: s}",
        "target invspec.kinds:Attack: Attack does not define perturb\nhint: every attack needs it",
    ),
}


@pytest.mark.parametrize(("written", "message"), BAD_TARGETS.values(), ids=BAD_TARGETS)
def test_a_bad_target_is_refused_with_this_message(
    written: str, message: str, write: WriteFile, tmp_path: Path
) -> None:
    write("attack/mine.yaml", "")
    (tmp_path / "attack" / "mine.yaml").write_text(written, errors="surrogateescape")
    assert refusal(lambda: resolve("attack", "mine"), tmp_path) == f"attack/mine.yaml: {message}"


def test_a_bad_setting_of_a_card_is_reported_at_the_card(write: WriteFile, tmp_path: Path) -> None:
    write("attack/mine.yaml", "target: invspec.attacks.pgd:PGD\nsummary: mine\nparams: {eps: -1}\n")
    result = refusal(lambda: make("attack", "mine", {"steps": 2}), tmp_path)
    assert result == "attack/mine.yaml: params.eps: expected at least 0, found -1"
    assert (
        refusal(lambda: make("attack", "mine", {"eps": -2}), tmp_path)
        == "expected at least 0, found -2"
    )


# ─ users' modules ─────────────────────────────────────────────────────────────────────

ATTACK = """\
from invspec.data import Perturbed
from invspec.kinds import Attack

class Mine(Attack):
    def perturb(self, model, batch, rng):
        return Perturbed.costing(batch.x, 0, 0)
"""


def test_a_users_class_is_found_beside_its_card(write: WriteFile) -> None:
    write("mine_module.py", ATTACK)
    write("attack/mine.yaml", "target: mine_module:Mine\nsummary: mine\n")
    assert resolve("attack", "mine").__module__ == "mine_module"


def test_a_users_package_is_found_too(write: WriteFile) -> None:
    write("mine_package/__init__.py", "")
    write("mine_package/inner.py", ATTACK)
    write("attack/mine.yaml", "target: mine_package.inner:Mine\nsummary: mine\n")
    assert resolve("attack", "mine").__module__ == "mine_package.inner"


@pytest.mark.parametrize("module", ["random", "sys", "numpy", "invspec"])
def test_a_users_module_with_the_name_of_another_is_refused(
    module: str, write: WriteFile, tmp_path: Path
) -> None:
    write(f"{module}.py", ATTACK)
    write("attack/mine.yaml", f"target: {module}:Mine\nsummary: mine\n")
    result = refusal(lambda: resolve("attack", "mine"), tmp_path)
    assert result.startswith(
        f"attack/mine.yaml: target {module}:Mine: another module is also named {module}: "
    )
    assert result.endswith(f"\nhint: rename {module} in {tmp_path.resolve()}")


def test_a_module_that_hides_one_that_a_users_class_imports_is_refused(
    write: WriteFile,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    write("lab_layers.py", "WIDTH = 1\n")
    (elsewhere / "lab_layers.py").write_text("WIDTH = 2\n")
    write("mine_above.py", f"from lab_layers import WIDTH\n{ATTACK}")
    write("attack/mine.yaml", "target: mine_above:Mine\nsummary: mine\n")
    monkeypatch.syspath_prepend(elsewhere)
    result = refusal(lambda: resolve("attack", "mine"), tmp_path)
    assert result == (
        "attack/mine.yaml: target mine_above:Mine: another module is also named lab_layers: "
        f"{(elsewhere / 'lab_layers.py').resolve()}\n"
        f"hint: rename lab_layers in {tmp_path.resolve()}"
    )


def test_two_folders_with_equally_named_modules_are_refused(
    write: WriteFile, tmp_path: Path
) -> None:
    write("same_name.py", ATTACK)
    write("attack/mine.yaml", "target: same_name:Mine\nsummary: mine\n")
    resolve("attack", "mine")
    write("other/same_name.py", ATTACK)
    write("other/attack/yours.yaml", "target: same_name:Mine\nsummary: yours\n")
    cards.add(tmp_path / "other")
    result = refusal(lambda: resolve("attack", "yours"), tmp_path)
    assert result.startswith(
        "other/attack/yours.yaml: target same_name:Mine: another module is also named same_name: "
    )


def test_a_users_module_that_fails_to_import_is_reported_with_its_line(
    write: WriteFile, tmp_path: Path
) -> None:
    write("attack/mine.yaml", "target: mine_broken:Mine\nsummary: mine\n")
    write("mine_broken.py", "a = 1\nb = 1 / 0\n")
    assert refusal(lambda: resolve("attack", "mine"), tmp_path) == (
        "attack/mine.yaml: target mine_broken:Mine: cannot be imported: ZeroDivisionError: "
        "division by zero\n"
        "hint: raised in mine_broken.py:2"
    )
    write("mine_broken.py", "a = (\n")
    result = refusal(lambda: resolve("attack", "mine"), tmp_path)
    assert result.endswith(
        "cannot be imported: SyntaxError: '(' was never closed (mine_broken.py, line 1)"
    )


def test_an_attack_that_cannot_perturb_is_refused(write: WriteFile, tmp_path: Path) -> None:
    write("mine_lazy.py", "from invspec.kinds import Attack\nclass Mine(Attack):\n    pass\n")
    write("attack/mine.yaml", "target: mine_lazy:Mine\nsummary: mine\n")
    result = refusal(lambda: resolve("attack", "mine"), tmp_path)
    assert (
        result == "attack/mine.yaml: target mine_lazy:Mine: Mine does not define perturb\n"
        "hint: every attack needs it"
    )


def test_every_method_that_resolves_has_its_kind() -> None:
    assert all(
        issubclass(methods.resolve(kind, name), Method)
        for kind in cards.KINDS
        for name in names(kind)
    )
