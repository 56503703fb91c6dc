"""Cards and their classes: what a name stands for, and messages about bad cards."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import Field, ValidationError
from registries import reread, untouched

from invspec.attacks.pgd import PGD
from invspec.defences.adversarial_training import AdversarialTraining
from invspec.errors import InvspecError, SpecError, first_line, suggest
from invspec.kinds import Attack, Method, Sample
from invspec.registry import cards, messages, methods
from invspec.registry.cards import KINDS, Kind, card, names, papers
from invspec.registry.methods import make, resolve

WriteFile = Callable[[str, str], None]


@pytest.fixture
def write(tmp_path: Path) -> Iterator[WriteFile]:
    """Write a file of a user's registry, which is taken away again afterwards."""

    def write_file(name: str, text: str) -> None:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        cards.add(tmp_path)
        reread()

    with untouched(tmp_path):
        yield write_file


def refusal(work: Callable[[], object], tmp_path: Path) -> str:
    with pytest.raises(SpecError) as caught:
        work()
    return str(caught.value).replace(f"{tmp_path.resolve()}/", "")


# ─ errors ─────────────────────────────────────────────────────────────────────────────


def test_an_error_has_a_place_a_message_and_a_hint() -> None:
    assert str(InvspecError("is bad")) == "is bad"
    assert (
        str(InvspecError("is bad", where="x.yaml:3", hint="mend it"))
        == "x.yaml:3: is bad\nhint: mend it"
    )
    assert (InvspecError("").exit_code, SpecError("").exit_code) == (1, 2)


def test_within_prepends_to_the_path_of_an_error() -> None:
    problem = SpecError("is bad", hint="mend it", path=("eps",)).within("attacks", "pgd")
    assert (problem.path, problem.message, problem.hint) == (
        ("attacks", "pgd", "eps"),
        "is bad",
        "mend it",
    )


@pytest.mark.parametrize(
    ("word", "known", "hint"),
    [
        ("pdg", ["pgd", "fgsm"], "did you mean pgd? (known: fgsm, pgd)"),
        ("nothing", ["pgd", "fgsm"], "known: fgsm, pgd"),
        ("nothing", [], ""),
        ("card7x", [f"card{number}" for number in range(30)], "did you mean card7?"),
        ("zzz", [f"a{number}" for number in range(10, 40)], ""),
    ],
)
def test_a_hint_names_the_nearest_word_and_lists_few(
    word: str, known: list[str], hint: str
) -> None:
    assert suggest(word, known) == hint


@pytest.mark.parametrize(
    ("problem", "line"),
    [(ValueError("\none\ntwo"), "one"), (ValueError(), "ValueError"), (KeyError("name"), "'name'")],
)
def test_the_first_line_of_an_exception(problem: Exception, line: str) -> None:
    assert first_line(problem) == line


# ─ cards ──────────────────────────────────────────────────────────────────────────────


def test_two_cards_with_equal_classes_and_settings_are_one_method() -> None:
    assert make("attack", "pgd_mnist", {}) == make(
        "attack", "pgd", {"eps": 0.3, "steps": 40, "step_size": 0.01}
    )
    assert (
        make("attack", "pgd_mnist", {}).identity == PGD(eps=0.3, steps=40, step_size=0.01).identity
    )


def test_parameters_override_those_of_the_card() -> None:
    assert make("attack", "pgd_mnist", {"steps": 7}) == PGD(eps=0.3, steps=7, step_size=0.01)


def test_names_are_sorted_and_papers_are_read() -> None:
    assert list(names("attack")) == sorted(names("attack"))
    assert papers()["madry2018"].authors.startswith("Madry")


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(SpecError, match="no attack is named 'pdg'") as caught:
        resolve("attack", "pdg")
    assert caught.value.hint.startswith("did you mean pgd?")


def test_a_users_card_hides_the_packages_and_the_last_folder_comes_first(
    write: WriteFile, tmp_path: Path
) -> None:
    write("attack/pgd.yaml", "target: invspec.attacks.pgd:PGD\nsummary: mine\nparams: {eps: 0.7}\n")
    assert make("attack", "pgd", {}) == PGD(eps=0.7)
    other = tmp_path / "other"
    (other / "attack").mkdir(parents=True)
    (other / "attack" / "pgd.yaml").write_text("target: invspec.attacks.pgd:PGD\nsummary: last\n")
    cards.add(other)
    assert card("attack", "pgd").summary == "last"
    assert cards.added() == (tmp_path.resolve(), other.resolve())


def test_a_folder_is_added_once(write: WriteFile, tmp_path: Path) -> None:
    write("attack/mine.yaml", "target: invspec.attacks.pgd:PGD\nsummary: mine\n")
    cards.add(tmp_path)
    assert cards.added() == (tmp_path.resolve(),)
    assert sys.path.count(str(tmp_path.resolve())) == 1
    assert sys.path[-1] == str(
        tmp_path.resolve()
    )  # a user's file never comes before a module of Python or of a package


def test_a_users_paper_can_be_cited(write: WriteFile) -> None:
    write("papers.yaml", "me2026: {title: Mine, authors: Me, year: 2026}\n")
    assert papers()["me2026"].title == "Mine"
    assert "madry2018" in papers()


BAD_CARDS = {
    "not YAML": (
        "{",
        "not YAML: while parsing a flow node\nhint: expected keys with values",
    ),
    "not UTF-8": (
        "\udcff",
        "not YAML: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte\n"
        "hint: expected keys with values",
    ),
    "a list": (
        "[a]",
        "expected keys with values, found a list",
    ),
    "nothing": (
        "",
        "expected keys with values, found nothing",
    ),
    "no summary": (
        "target: a:B",
        "missing key summary\nhint: expected target, summary, paper, section, params, example",
    ),
    "an unknown key": (
        "{target: a:B, summary: s, on: 1}",
        "unknown key True\nhint: expected target, summary, paper, section, params, example",
    ),
    "a number as target": (
        "{target: 3, summary: s}",
        "target: expected text, found 3",
    ),
    "a number as section": (
        "{target: a:B, summary: s, section: 2.1}",
        "section: expected text, found 2.1",
    ),
    "params in a list": (
        "{target: a:B, summary: s, params: [eps]}",
        "params: expected keys with values, found ['eps']",
    ),
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


@pytest.mark.parametrize(("written", "message"), BAD_CARDS.values(), ids=BAD_CARDS)
def test_a_bad_card_is_refused_with_this_message(
    written: str, message: str, write: WriteFile, tmp_path: Path
) -> None:
    write("attack/mine.yaml", "")
    (tmp_path / "attack" / "mine.yaml").write_text(written, errors="surrogateescape")
    assert refusal(lambda: resolve("attack", "mine"), tmp_path) == f"attack/mine.yaml: {message}"


def test_a_card_that_is_a_folder_is_refused(write: WriteFile, tmp_path: Path) -> None:
    write("attack/mine.yaml/x", "")
    assert (
        refusal(lambda: card("attack", "mine"), tmp_path)
        == "attack/mine.yaml: cannot be read: Is a directory\nhint: expected a YAML file"
    )


def test_a_bad_paper_is_refused(write: WriteFile, tmp_path: Path) -> None:
    write("papers.yaml", "me2026: {title: Mine, authors: Me, year: two}\n")
    assert (
        refusal(papers, tmp_path)
        == "papers.yaml: me2026: year: expected a whole number, found 'two'"
    )


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


# ─ methods ────────────────────────────────────────────────────────────────────────────


def test_a_method_in_a_method_is_given_by_use_and_fields() -> None:
    made = make("defence", "adversarial_training", {"attack": {"use": "pgd_mnist", "steps": 3}})
    assert isinstance(made, AdversarialTraining)
    assert made.attack == PGD(eps=0.3, steps=3, step_size=0.01)
    assert made == AdversarialTraining(attack=PGD(eps=0.3, steps=3, step_size=0.01))


@pytest.mark.parametrize(
    ("written", "value"),
    [
        (0.1, 0.1),
        (1, 1.0),
        ("8/255", 8 / 255),
        ("1e-3", 0.001),
        (" 8 / 255 ", 8 / 255),
        ("+.5", 0.5),
    ],
)
def test_a_number_may_be_written_in_many_ways(written: object, value: float) -> None:
    assert make("attack", "pgd", {"eps": written}) == PGD(eps=value)


@pytest.mark.parametrize(
    "written",
    ["1/1e999", "1e999", "1e999/1e999", "8/0", "8/", "/8", "1/2/3", "nan", "inf", "", "0x1", True],
)
def test_text_that_is_not_a_number_is_refused(written: object) -> None:
    with pytest.raises(SpecError, match="expected a number"):
        make("attack", "pgd", {"eps": written})


def test_a_pydantic_error_without_words_of_ours_keeps_its_own() -> None:
    class Odd(Attack):
        even: int = Field(multiple_of=2)

    with pytest.raises(ValidationError) as caught:
        Odd.model_validate({"even": 3})
    (result,) = messages.explain(caught.value, Odd, {"even": 3})
    assert (result.path, str(result)) == (("even",), "expected a multiple of 2, found 3")


def test_every_wrong_parameter_is_reported() -> None:
    inner = {"use": "pgd", "eps": -1, "stepz": 2}
    with pytest.raises(SpecError) as caught:
        make("defence", "adversarial_training", {"attack": inner, "epochs": 0, "lr": "fast"})
    assert {problem.path for problem in caught.value.problems} == {
        ("attack", "eps"),
        ("attack", "stepz"),
        ("epochs",),
        ("lr",),
    }


def test_a_misspelt_parameter_hides_the_missing_one_that_it_stands_for() -> None:
    class Needy(Attack):
        radius: float
        colour: str

    with pytest.raises(ValidationError) as caught:
        Needy.model_validate({"radiuz": 1})
    result = messages.explain(caught.value, Needy, {"radiuz": 1})
    assert sorted(problem.path for problem in result) == [("colour",), ("radiuz",)]


def test_units_come_from_annotations_and_may_depend_on_other_fields() -> None:
    assert PGD().unit_of("eps") == "pixels in [0, 1]"
    assert PGD(eps_space="standardised").unit_of("step_size") == "standardised pixels"
    assert PGD().unit_of("steps") == PGD().unit_of("nothing") == ""
    defence = make("defence", "adversarial_training", {"attack": {"use": "pgd"}})
    assert defence.unit_of("max_degrees") == "degrees"


def test_a_bool_is_not_accepted_as_a_number() -> None:
    with pytest.raises(SpecError, match="expected a number, found true"):
        make("attack", "pgd", {"steps": True})
    assert make("attack", "pgd", {"random_start": False}) == PGD(random_start=False)


def test_equal_methods_have_equal_identities() -> None:
    assert PGD(eps=0.0) == PGD(eps=-0.0)
    assert str(PGD(eps=0.0).identity) == str(PGD(eps=-0.0).identity)
    assert str(PGD(eps=1).identity) == str(PGD(eps=1.0).identity)
    assert PGD(eps=0.3) == PGD()
    assert hash(PGD(eps=0.3)) == hash(PGD())


def test_an_identity_changes_with_the_class_the_version_and_every_field() -> None:
    class Newer(PGD):
        version = 2

    assert Newer().identity["version"] == 2
    assert Newer().identity["class"] != PGD().identity["class"]
    other = {
        "eps": 0.2,
        "norm": "l2",
        "steps": 7,
        "step_size": 0.1,
        "relative_step_size": 0.1,
        "random_start": False,
    }
    other |= {"restarts": 2, "loss": "margin", "label": "predicted", "eps_space": "standardised"}
    changed = [PGD(**{name: value}).identity for name, value in other.items()]
    changed.append(PGD(norm="l1", sparsity=2).identity)
    assert set(PGD.model_fields) == {*other, "sparsity"}
    assert len({str(identity) for identity in [*changed, PGD().identity]}) == len(changed) + 1


OWN = "laidlaw_alexnet_cifar"


def measuring_distances() -> list[tuple[Kind, str]]:
    """Cards of methods that a distance can be given to."""
    return [
        (kind, name)
        for kind in KINDS
        for name in names(kind)
        if "distance" in resolve(kind, name).model_fields
    ]


@pytest.mark.parametrize(("kind", "name"), measuring_distances())
def test_a_users_weights_are_part_of_the_identity_of_methods_that_read_them(
    kind: Kind, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INVSPEC_DATA", str(tmp_path))
    assert "reads" not in make(kind, name, {}).identity
    method = make(kind, name, {"distance": OWN})
    with pytest.raises(InvspecError, match="no weights of alexnet_cifar"):
        _ = method.identity
    (tmp_path / "weights").mkdir()
    file, result = tmp_path / "weights" / "alexnet_cifar.pth", list[dict[str, str]]()
    for content in (b"once", b"retrained"):
        file.write_bytes(content)
        result.append(method.identity["reads"])
    assert result == [
        {"alexnet_cifar": hashlib.sha256(content).hexdigest()}
        for content in (b"once", b"retrained")
    ]
    assert "reads" not in method.smoke().identity


def test_files_of_an_inner_method_are_part_of_the_outer_identity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INVSPEC_DATA", str(tmp_path))
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "alexnet_cifar.pth").write_bytes(b"once")
    outer = make(
        "defence", "adversarial_training", {"attack": {"use": "lpa", "distance": OWN}}
    ).identity
    assert outer["fields"]["attack"]["reads"] == {
        "alexnet_cifar": hashlib.sha256(b"once").hexdigest()
    }
    assert "reads" not in outer


def test_a_method_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        PGD().eps = 0.1  # pyright: ignore[reportAttributeAccessIssue]


def test_smoke_makes_a_method_and_its_inner_methods_cheap() -> None:
    cheap = AdversarialTraining(epochs=90, attack=PGD(eps=0.2, steps=40, restarts=3)).smoke()
    assert (cheap.epochs, cheap.attack) == (1, PGD(eps=0.2, steps=2, restarts=1))
    assert PGD(steps=1).smoke() == PGD(steps=1)


def test_a_sample_is_counted_one_way() -> None:
    with pytest.raises(ValueError, match="found both: limit 3 and per_class 1"):
        Sample(limit=3, per_class=1)
    with pytest.raises(ValueError, match="valid integer"):
        Sample(limit=True)


def test_sets_and_samples_have_a_plain_form_too() -> None:
    from invspec.kinds import plain

    assert plain(frozenset({"b", "a"})) == ["a", "b"]
    assert plain({1: (PGD, 2.0)[1], "x": Sample()}) == {
        "1": 2.0,
        "x": {"split": "test", "limit": None, "per_class": None, "targets": None},
    }


def test_every_method_that_resolves_has_its_kind() -> None:
    assert all(
        issubclass(methods.resolve(kind, name), Method)
        for kind in cards.KINDS
        for name in names(kind)
    )
