"""Specs that extend other files."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from invspec.errors import SpecError
from invspec.plan import planner
from invspec.registry.cards import shipped
from invspec.spec import extend, overlay
from invspec.tasks import key

NETS = """\
datasets: {fake: {}}
models: {linear: {}, wide: {use: lenet}}
defences:
  plain: {use: standard, epochs: 9}
scales:
  laptop: {defences.plain.epochs: 2}
"""
SPEC = """\
title: toy
extends: shared/nets.yaml
attacks: {pgd: {eps: 0.1, steps: 40}}
measures: {accuracy: {of: pgd}}
train: [{dataset: fake, model: linear, defence: plain}]
scales:
  laptop: {attacks.pgd.steps: 5}
"""


@pytest.fixture
def write(tmp_path: Path):
    def writer(spec: str = SPEC, **files: str) -> Path:
        for name, text in {"shared/nets": NETS, **files}.items():
            path = tmp_path / f"{name.replace('__', '/')}.yaml"
            path.parent.mkdir(exist_ok=True, parents=True)
            path.write_text(text)
        path = tmp_path / "toy.yaml"
        path.write_text(spec)
        return path

    return writer


def epochs(path: Path, scale: str | None = None, *options: str) -> int:
    spec = overlay.load(path, scale, options)
    return spec.entries["defences"]["plain"].variants[0].method.epochs


def refusal(path: Path, scale: str | None = None) -> str:
    with pytest.raises(SpecError) as problem:
        overlay.load(path, scale)
    return str(problem.value).replace(str(path.parent), "")


def test_what_is_extended_counts_where_the_spec_says_nothing(write) -> None:
    assert epochs(write()) == 9
    assert epochs(write(SPEC + "defences: {plain: {epochs: 4}}")) == 4


def test_a_merged_spec_begins_with_its_title(write) -> None:
    values = overlay.load(write()).source.values
    assert list(values) == [
        *("title", "datasets", "models", "defences", "attacks", "measures", "train", "scales")
    ]


def test_scales_and_settings_are_applied_to_the_merged_spec(write) -> None:
    path = write()
    assert epochs(path, "laptop") == 2
    assert epochs(path, "laptop", "defences.plain.epochs=3") == 3
    laptop = overlay.load(path, "laptop")
    assert laptop.entries["attacks"]["pgd"].variants[0].method.steps == 5
    own = SPEC.replace("{attacks.pgd", "{defences.plain.epochs: 6, attacks.pgd")
    assert epochs(write(own), "laptop") == 6


def test_the_later_of_several_files_wins_and_files_may_extend_others(write) -> None:
    more = "{extends: shared/nets.yaml, defences: {plain: {epochs: 5}}}"
    path = write(SPEC.replace("shared/nets.yaml", "[shared/nets.yaml, more.yaml]"), more=more)
    assert epochs(path) == 5
    path = write(SPEC.replace("shared/nets.yaml", "[more.yaml, shared/nets.yaml]"), more=more)
    assert epochs(path) == 9
    # the path starts at the folder of the file that gives it
    deep = "{extends: nets.yaml, defences: {plain: {epochs: 7}}}"
    assert epochs(write(SPEC.replace("nets", "deep"), shared__deep=deep)) == 7


def test_a_spec_that_ships_is_extended_by_its_name(write) -> None:
    spec = overlay.load(write("{extends: quickstart, title: mine}"))
    shipped_spec = overlay.load(shipped("specs") / "quickstart.yaml")
    assert (spec.title, spec.entries) == ("mine", shipped_spec.entries)
    # a file here comes before one that ships
    assert overlay.load(write("extends: quickstart", quickstart="{}"))


def test_private_keys_hold_anchors(write) -> None:
    path = write("x-recipe: &recipe {epochs: 8}\n" + SPEC + "defences: {plain: *recipe}\n")
    assert epochs(path) == 8
    assert "x-recipe" not in overlay.load(path).source.values
    assert epochs(write(SPEC, shared__nets=f"x-odd: [1]\n{NETS}")) == 9


def test_entries_that_only_extended_files_have_may_stay_unused(write) -> None:
    assert set(overlay.load(write()).entries["models"]) == {"linear"}
    broken = NETS.replace("{use: lenet}", "{use: nothing}")
    assert set(overlay.load(write(shared__nets=broken)).entries["models"]) == {"linear"}


WRONG = {
    "a parameter below": (
        SPEC,
        NETS.replace("epochs: 9", "epoch: 9"),
        "/shared/nets.yaml:4: defences.plain.epoch: Standard has no such parameter",
    ),
    "a value below": (
        SPEC,
        NETS.replace("epochs: 9", "epochs: no"),
        "/shared/nets.yaml:4: defences.plain.epochs: expected a number, found false",
    ),
    "a value above": (
        SPEC + "defences: {plain: {epochs: no}}",
        NETS,
        "/toy.yaml:8: defences.plain.epochs: expected a number, found false",
    ),
    "a missing key": (
        SPEC.replace("measures", "x-measures"),
        NETS,
        "/toy.yaml:1: measures: is missing",
    ),
    "an unknown key below": (SPEC, NETS + "nets: {}\n", "/shared/nets.yaml:7: nets: unknown key"),
    "no file": (
        SPEC.replace("nets.yaml", "net.yaml"),
        NETS,
        "/toy.yaml:2: extends: shared/net.yaml: no such file\nhint: paths start at the folder of",
    ),
    "no shipped name": (
        SPEC.replace("shared/nets.yaml", "quickstar"),
        NETS,
        "/toy.yaml:2: extends: quickstar: no such file\nhint: did you mean quickstart?",
    ),
    "a path to a name that ships": (
        SPEC.replace("shared/nets.yaml", "quickstart.yaml"),
        NETS,
        "hint: the one that ships with invspec has the name quickstart",
    ),
    "a folder": (SPEC.replace("/nets.yaml", ""), NETS, "/shared: cannot be read: Is a directory"),
    "not YAML": (SPEC, "a: [1", "/shared/nets.yaml:2: not YAML"),
    "a list below": (
        SPEC,
        "\n- 1",
        "/shared/nets.yaml:2: expected keys of a spec, found [1]\nhint: "
        "/toy.yaml extends this file",
    ),
    "an empty file": (SPEC, "", "/shared/nets.yaml: expected keys of a spec, found nothing"),
    "itself": (
        SPEC.replace("shared/nets.yaml", "toy.yaml"),
        NETS,
        "/toy.yaml:2: extends: toy.yaml: a circle: toy.yaml extends toy.yaml\nhint: remove one",
    ),
    "a circle": (
        SPEC,
        "extends: ../shared/../toy.yaml",
        "/shared/nets.yaml:1: extends: ../shared/../toy.yaml: a circle: "
        "toy.yaml extends nets.yaml extends toy.yaml",
    ),
    "nothing": (
        SPEC.replace("shared/nets.yaml", ""),
        NETS,
        "/toy.yaml:2: extends: expected a file or a list of files, found nothing",
    ),
    "no files": (SPEC.replace("shared/nets.yaml", "[]"), NETS, "found []"),
    "a number": (SPEC.replace("shared/nets.yaml", "[1]"), NETS, "found [1]"),
    "keys": (SPEC.replace("shared/nets.yaml", "{a: b}"), NETS, "found {'a': 'b'}"),
    "an empty name": (SPEC.replace("shared/nets.yaml", "' '"), NETS, "found ' '"),
    "a file given twice": (
        SPEC.replace("shared/nets.yaml", "\n- shared/nets.yaml\n- shared/nets.yaml"),
        NETS,
        "/toy.yaml:4: extends.1: duplicate file shared/nets.yaml",
    ),
    "a name with a zero byte": (SPEC.replace("shared/nets.yaml", '"a\\0b"'), NETS, "no such file"),
    "a very long name": (SPEC.replace("nets", "n" * 5000), NETS, "no such file"),
}


@pytest.mark.parametrize(("spec", "nets", "message"), WRONG.values(), ids=WRONG)
def test_mistakes_are_named_in_the_file_where_they_stand(
    write, spec: str, nets: str, message: str
) -> None:
    assert message in refusal(write(spec, shared__nets=nets))


@pytest.mark.parametrize(
    "name",
    [
        "..",
        "/",
        ".",
        "~",
        "*.yaml",
        "/dev/null",
        "/dev/zero",
        "file://nets.yaml",
        r"\\ud800",
        "-",
        "%",
    ],
)
def test_odd_names_of_files_give_one_message(write, name: str) -> None:
    assert refusal(write(SPEC.replace("shared/nets.yaml", f'"{name}"'))).count("\n") <= 1


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=4,
)


@settings(deadline=None, max_examples=60)
@given(
    VALUES, VALUES, st.sampled_from(["models", "scales", "defences", "train", "measures", "x-a"])
)
def test_whatever_stands_in_the_files_only_a_spec_error_is_raised(
    tmp_path_factory: pytest.TempPathFactory, below: Any, name: Any, part: str
) -> None:
    folder = tmp_path_factory.mktemp("odd")
    (folder / "nets.yaml").write_text(yaml.safe_dump({part: below}))
    path = folder / "toy.yaml"
    for extends in ("nets.yaml", name):
        path.write_text(yaml.safe_dump({**yaml.safe_load(SPEC), "extends": extends}))
        with pytest.raises(SpecError):
            overlay.load(path)


def test_a_mistake_in_a_scale_is_named_in_the_file_where_it_stands(write) -> None:
    nets = NETS.replace(
        "{defences.plain.epochs: 2}",
        "\n    defences.plain:\n      use: standard\n      epochs: no\n",
    )
    wanted = "/shared/nets.yaml:9: defences.plain.epochs: expected a number"
    assert wanted in refusal(write(shared__nets=nets), "laptop")
    # its entry is changed by the spec as well, its wrong value is not
    own = SPEC.replace("{attacks.pgd.steps: 5}", "{defences.plain: {batch_size: 10}}")
    assert wanted in refusal(write(own, shared__nets=nets), "laptop")


def test_chains_and_numbers_of_files_are_bounded(write) -> None:
    chain = {f"f{n}": f"extends: f{n + 1}.yaml" for n in range(extend.MAX_CHAIN)}
    last = f"f{extend.MAX_CHAIN - 1}"
    path = write(SPEC.replace("shared/nets", "f0"), **{**chain, last: NETS})
    assert epochs(path) == 9
    path = write(SPEC.replace("shared/nets", "f0"), **chain, **{f"f{extend.MAX_CHAIN}": NETS})
    assert f"expected at most {extend.MAX_CHAIN} files in a chain" in refusal(path)
    # every level doubles the number of files
    doubled = {
        f"{side}{n}": f"extends: [a{n + 1}.yaml, b{n + 1}.yaml]" for n in range(6) for side in "ab"
    }
    path = write("extends: [a0.yaml, b0.yaml]", **doubled, a6=NETS, b6=NETS)
    assert f"expected at most {extend.MAX_FILES} files in all" in refusal(path)


def test_the_merged_values_are_bounded(write) -> None:
    many = "x: [" + "1," * 20_000 + "]"
    files = {name: many.replace("x", f"k{name}") for name in "abc"}
    path = write("extends: [a.yaml, b.yaml, c.yaml]", **files)
    assert "/toy.yaml:1: expected at most 50,000 values" in refusal(path)


def test_extends_comes_from_a_file_only(write) -> None:
    with pytest.raises(SpecError, match=r"--set: extends: files are extended before scales"):
        overlay.load(write(), settings=["extends=quickstart"])


WHOLE: dict[str, Any] = extend.read(shipped("specs") / "nspgd_two_layer.yaml").values


def split(draw: st.DrawFn, values: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The keys of a mapping in two parts: whole keys in either, or what is in them in both."""
    below: dict[str, Any] = {}
    above: dict[str, Any] = {}
    for name, value in values.items():
        # another `use` replaces all that is below
        ways = ["below", "above", "both", *(["replaced"] if name != "use" else [])]
        match draw(st.sampled_from(ways)):
            case "below":
                below[name] = value
            case "above":
                above[name] = value
            case "both" if isinstance(value, dict):
                below[name], above[name] = split(draw, value)
            case "both":
                below[name] = above[name] = value
            case _:
                below[name], above[name] = [{"any": "thing"}], value
    # below, an entry without `use` would be the method of its label, with other fields
    return ({**below, "use": above["use"]} if "use" in above else below), above


@st.composite
def halves(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    return split(draw, copy.deepcopy(WHOLE))


@settings(deadline=None, max_examples=40)
@given(halves())
def test_a_spec_that_extends_its_other_half_is_the_whole(
    tmp_path_factory: pytest.TempPathFactory, parts: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    folder = tmp_path_factory.mktemp("halves")
    below, above = parts
    (folder / "below.yaml").write_text(yaml.safe_dump(below, sort_keys=False))
    path = folder / "whole.yaml"
    path.write_text(yaml.safe_dump({"extends": "below.yaml", **above}, sort_keys=False))
    assert extend.read(path).values == WHOLE


def test_a_split_spec_has_the_keys_of_the_whole(tmp_path: Path) -> None:
    below = {part: WHOLE[part] for part in ("datasets", "models", "defences", "scales")}
    above = {part: value for part, value in WHOLE.items() if part not in below}
    (tmp_path / "below.yaml").write_text(yaml.safe_dump(below))
    path = tmp_path / "split.yaml"
    path.write_text(yaml.safe_dump({"extends": "below.yaml", **above}))
    for scale in (None, *WHOLE["scales"]):
        whole, halved = (
            planner.plan(overlay.load(spec, scale))
            for spec in (shipped("specs") / "nspgd_two_layer.yaml", path)
        )
        assert set(map(key, whole.tasks)) == set(map(key, halved.tasks))
