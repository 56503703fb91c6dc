"""The JSON Schema for editors accepts valid specs and refuses common mistakes at their place."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from imports import ROOT
from jsonschema import Draft202012Validator
from schemas import faults, mistakes, rules, validator

from invspec.cli import descriptions
from invspec.registry import catalogue
from invspec.registry.cards import KINDS, PARTS, Kind, names, shipped
from invspec.spec import document, json_schema


@pytest.mark.parametrize(
    "path", sorted(shipped("specs").rglob("*.yaml")), ids=lambda path: path.stem
)
def test_the_schema_accepts_every_spec_that_ships(path: Path) -> None:
    assert faults(document.read(path).values) == []


def documented() -> list[dict[str, Any]]:
    """The YAML blocks of the documentation that are specs or parts of one."""
    texts = [path.read_text() for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))]
    blocks = [block for text in texts for block in re.findall(r"```yaml\n(.*?)```", text, re.S)]
    values = [yaml.safe_load(block) for block in blocks]
    known = set(rules()["properties"])
    return [keys for keys in values if isinstance(keys, dict) and set(keys) <= known]


def test_the_schema_accepts_the_specs_of_the_documentation() -> None:
    assert len(documented()) >= 6
    # methods of one's own, and a digest that is left out
    own = {
        *("models.own.use", "measures.overconfidence.use", "attacks.momentum.use"),
        *("datasets.stripes.use", "checks", "defences.weights.sha256", "models.exported.sha256"),
        "defences.smoothed.use",
    }
    assert {fault for keys in documented() for fault in faults(keys)} <= own


GOOD = document.read(shipped("specs") / "quickstart.yaml")
ACCEPTED: dict[str, tuple[str, Any]] = {
    "an empty entry": ("attacks.pgd", None),
    "a label that is no name": ("attacks.mine", {"use": "pgd"}),
    "a training on two threads": ("defences.rotations.threads", 2),
    "a list of labels": ("measures.accuracy.of", ["none"]),
    "a fraction in a bound": ("claims.0.expect", {"difference": {"above": "8/255"}}),
    "a word for a correlation": ("claims.0.expect", "rising"),
    "a scale": ("scales", {"laptop": {"seeds": [0], "attacks.pgd.steps": 3}}),
    "every step": ("claims.0.expect", {"rising": {"every_step": {"above": -0.01}}}),
    "a nested number": (
        "claims.0.value",
        {"difference": [{"measure": "a"}, {"sum": [{"measure": "b"}, 1]}]},
    ),
    "a quantile": ("claims.0.value", {"measure": "a", "over": {"x": {"quantile": 0.9}}}),
    "a renamed coordinate": ("claims.0.value", {"measure": "a", "as": {"pgd.eps": "eps"}}),
    "a premise": ("claims.0.given", {"value": {"measure": "a"}, "expect": {"value": {"above": 1}}}),
    "premises": (
        "claims.0.given",
        [{"value": {"measure": "a"}, "expect": {"value": {"above": 1}}}],
    ),
    "alternatives": ("claims.0.one_of", [{"says": "a"}, {"says": "b", "expect": "rising"}]),
    "a published number": ("claims.0.published", 0.5),
    "a published number with its error": ("claims.0.published", {"value": 0.5, "n": 100}),
    "a published table": (
        "report",
        [
            {
                "of": "a",
                "published": {"n": 9, "by": "model", "values": {"a": 0.5, "b": {"value": 1}}},
            }
        ],
    ),
    "a file that it extends": ("extends", "shared/nets.yaml"),
    "files that it extends": ("extends", ["nets.yaml", "quickstart"]),
    "a private key": ("x-recipe", {"any": ["thing"]}),
    "a layout": ("report", [{"of": "accuracy", "rows": "model", "columns": "pgd.eps"}]),
}


@pytest.mark.parametrize(("dotted", "value"), ACCEPTED.values(), ids=ACCEPTED)
def test_the_schema_accepts_every_form_of_an_entry(dotted: str, value: Any) -> None:
    assert faults(GOOD.overlay(dotted, value, "here").values) == []


REFUSED: dict[str, tuple[str, Any]] = {
    "an unknown key": ("claim", []),
    "no file to extend": ("extends", []),
    "a private entry": ("train.0", {"x-note": 1, **GOOD.values["train"][0]}),
    "an unknown name": ("attacks.pgd.use", "pdg"),
    "a label with a dot": ("attacks.pgd-2", {"use": 3}),
    "no attacks": ("attacks", {}),
    "an entry that is a text": ("attacks.pgd", "fgsm"),
    "a misspelt key of a sample": ("attacks.pgd.sample", {"limt": 3}),
    "no threads": ("defences.rotations.threads", 0),
    "no train lines": ("train", []),
    "a train line without a model": ("train.0", {"dataset": "digits", "defence": "rotations"}),
    "a negative seed": ("seeds", [-1]),
    "a true seed": ("seeds", [True]),
    "a misspelt trend": ("claims.0.expect", "risng"),
    "two statistics": ("claims.0.expect", {"difference": {"above": 0}, "ratio": {"above": 1}}),
    "a misspelt operation": ("claims.0.value", {"diference": [{"measure": "a"}, 1]}),
    "an unknown reduction": ("claims.0.value", {"measure": "a", "over": {"x": "aera"}}),
    "a single alternative": ("claims.0.one_of", [{"says": "a"}]),
    "a premise without a bound that is known": ("claims.0.given", {"expect": {"valeu": {}}}),
    "a bound that is a word": ("claims.0.expect", {"difference": {"above": "much"}}),
    "a scale with a slash": ("scales", {"a/b": {}}),
}


@pytest.mark.parametrize(("dotted", "value"), REFUSED.values(), ids=REFUSED)
def test_the_schema_refuses_common_mistakes_at_their_place(dotted: str, value: Any) -> None:
    places = faults(GOOD.overlay(dotted, value, "here").values)
    assert places
    assert all(place.startswith(dotted) for place in places)


# ─ fields ───────────────────────────────────────────────────────────────────────────────────────

PGD = "attacks.pgd"
FIELDS_ACCEPTED: dict[str, tuple[str, Any]] = {
    "a fraction": (PGD, {"eps": "8/255"}),
    "a sweep": (PGD, {"eps": {"sweep": [0, "8/255"]}, "norm": {"sweep": ["linf", "l2"]}}),
    "nothing": (PGD, {"step_size": None}),
    "another method under a name": (PGD, {"use": "square", "queries": 10}),
    "a transform": (PGD, {"before": {"use": "random_rotation", "max_degrees": 3}}),
    "a swept transform": (PGD, {"before": {"sweep": [{"use": "random_rotation"}]}}),
    "a sweep in a transform": (
        PGD,
        {"before": {"use": "random_rotation", "max_degrees": {"sweep": [0, 90]}}},
    ),
    "a method in a field": (
        "defences.mine",
        {"use": "adversarial_training", "attack": {"use": "pgd", "eps": {"sweep": [0, 0.1]}}},
    ),
    "a sweep over methods": (
        "defences.mine",
        {"use": "adversarial_training", "attack": {"sweep": [{"use": "fgsm"}, {"use": "pgd"}]}},
    ),
    "a list of methods": ("defences.avg", {"attacks": [{"use": "fgsm", "eps": 0.1}]}),
    "named checks": ("checks", ["default", "gradient", {"use": "black_box", "images": 128}]),
    "labelled checks": ("checks", {"gradient": None, "mine": {"use": "black_box", "images": 9}}),
    "no checks": ("checks", "none"),
}


@pytest.mark.parametrize(("dotted", "value"), FIELDS_ACCEPTED.values(), ids=FIELDS_ACCEPTED)
def test_the_schema_accepts_fields(dotted: str, value: Any) -> None:
    assert faults(GOOD.overlay(dotted, value, "here").values) == []


FIELDS_REFUSED: dict[str, tuple[str, Any, str]] = {
    "a misspelt field": (PGD, {"epss": 0.3}, "epss"),
    "a field of another method": (PGD, {"queries": 10}, "queries"),
    "a misspelt field behind use": ("models.mine", {"use": "lenet", "drpout": 0.5}, "drpout"),
    "a number below its least": (PGD, {"eps": -1}, "eps"),
    "a negative fraction": (PGD, {"eps": "-1/255"}, "eps"),
    "a word for a number": (PGD, {"eps": "small"}, "eps"),
    "half a step": (PGD, {"steps": 1.5}, "steps"),
    "true for a number": (PGD, {"steps": True}, "steps"),
    "an unknown word": (PGD, {"norm": "l3"}, "norm"),
    "a list for a number": (PGD, {"eps": [0.1, 0.2]}, "eps"),
    "a misspelt sweep": (PGD, {"eps": {"swep": [0.1]}}, "eps"),
    "an empty sweep": (PGD, {"eps": {"sweep": []}}, "eps.sweep"),
    "a wrong value in a sweep": (PGD, {"eps": {"sweep": [0.1, -1]}}, "eps.sweep.1"),
    "an attack that is no transform": (PGD, {"before": {"use": "fgsm"}}, "before.use"),
    "a transform without a name": (PGD, {"before": {"max_degrees": 3}}, "before.use"),
    "a key of another part": (PGD, {"threads": 3}, "threads"),
    "a label without a method": ("attacks.mine", {"eps": 0.3}, "use"),
    "a missing field": ("defences.pretrained", {"file": "a.pth"}, "sha256"),
    "a method in a field without a name": (
        "defences.mine",
        {"use": "adversarial_training", "attack": {"eps": 0.3}},
        "attack.use",
    ),
    "a misspelt field of a method in a field": (
        "defences.mine",
        {"use": "adversarial_training", "attack": {"use": "pgd", "epss": 0.3}},
        "attack.epss",
    ),
    "a method in a field with keys of an entry": (
        "defences.mine",
        {"use": "adversarial_training", "attack": {"use": "pgd", "sample": {"limit": 3}}},
        "attack.sample",
    ),
    "a method in a list without a name": (
        "defences.avg",
        {"attacks": [{"eps": 1}]},
        "attacks.0.use",
    ),
    "a path in a scale that begins wrongly": (
        "scales.laptop",
        {"attack.pgd.eps": 1},
        "attack.pgd.eps",
    ),
    "a wrong value in a scale": ("scales.laptop", {"seeds": [-1]}, "seeds"),
}


@pytest.mark.parametrize(("dotted", "value", "place"), FIELDS_REFUSED.values(), ids=FIELDS_REFUSED)
def test_the_schema_refuses_mistakes_in_fields(dotted: str, value: Any, place: str) -> None:
    values = GOOD.overlay("scales", {}, "here").overlay(dotted, value, "here").values
    places = faults(values)
    assert places
    assert all(fault.startswith(f"{dotted}.{place}") for fault in places)


@pytest.mark.parametrize("names_of_checks", [["gradiet"], [{"use": "logits", "imges": 3}], [3]])
def test_the_schema_refuses_mistakes_in_checks(names_of_checks: list[Any]) -> None:
    assert faults(GOOD.overlay("checks", names_of_checks, "here").values) == ["checks"]


def test_a_description_has_all_that_is_known_of_a_field() -> None:
    field = rules()["$defs"]["attack:random_rotation"]["properties"]["max_degrees"]
    meaning, limits = field["description"].split("\n\n")
    assert meaning == "half-width of the range of angles (degrees)"
    assert limits == "number 0 to 180, default 180.0"
    assert field["default"] == 180.0


def test_a_required_field_says_so() -> None:
    field = rules()["$defs"]["defence:pretrained"]["properties"]["file"]
    assert field["description"].endswith("text, required")
    assert "default" not in field


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in KINDS for name in names(kind)])
def test_the_schema_accepts_defaults_and_the_example_of_a_method(kind: Kind, name: str) -> None:
    # YAML 1.1 reads 1e-05 as text, which the servers of editors do not
    example = descriptions.of(kind, name).example.replace("1e-05", "0.00001")
    wrong = [error.instance for error in mistakes(yaml.safe_load(example))]
    assert [instance for instance in wrong if "..." not in str(instance)] == []
    fields = rules()["$defs"][f"{kind}:{name}"]["properties"]
    defaults = {field: about["default"] for field, about in fields.items() if "default" in about}
    method = {"$ref": f"#/$defs/{kind}:{name}", "$defs": rules()["$defs"]}
    assert list(validator().evolve(schema=method).iter_errors(defaults)) == []


# ─ files that extend others ─────────────────────────────────────────────────────────────────────


def test_a_spec_may_leave_out_what_it_extends() -> None:
    title = {"title": "toy"}
    assert "train" in faults(title)
    assert not faults({**title, "extends": "quickstart"})


@pytest.mark.parametrize("start", [{"title": "toy", "extends": "quickstart"}, {}], ids=str)
def test_entries_may_be_completed_by_another_file(start: dict[str, Any]) -> None:
    parts = {
        "defences": {"mine": {"epochs": 3}, "adversarial_training": {"attack": {"eps": 0.3}}},
        "attacks": {"mine": {"sample": {"limit": 3}}, "pgd": {"eps": 0.3}},
    }
    assert faults({**start, **parts}) == []


def test_a_method_that_a_file_names_is_checked_wherever_the_rest_is() -> None:
    attacks = {"pgd": {"epss": 0.3}, "mine": {"use": "pgd", "eps": -1, "smple": {}}}
    wrong = {"attacks.pgd.epss", "attacks.mine.eps", "attacks.mine.smple"}
    assert set(faults({"extends": "quickstart", "title": "toy", "attacks": attacks})) == wrong
    assert set(faults({"attacks": attacks})) == wrong


# ─ names ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("part", "kind"), PARTS.items())
def test_the_schema_completes_the_names_of_the_registry(part: str, kind: Kind) -> None:
    definitions = rules()["$defs"]
    assert definitions[kind]["properties"]["use"]["enum"] == list(names(kind))
    assert list(definitions[part]["properties"]) == list(names(kind))
    assert list(definitions[f"{part}.whole"]["properties"]) == list(names(kind))


def test_a_name_may_hold_signs_that_patterns_and_references_use() -> None:
    methods = {**descriptions.every()}
    odd = "a-b+c/d~e 100%"
    methods["attack"] = {**methods["attack"], odd: methods["attack"]["pgd"]}
    schema = Draft202012Validator(json_schema.schema(catalogue.frame(), methods))
    entry = {"attacks": {"mine": {"use": odd, "epss": 1}}}
    (error,) = schema.iter_errors(entry)
    assert "epss" in error.message


def test_the_schema_is_one_by_its_own_dialect() -> None:
    assert rules()["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(rules())


def test_the_text_has_a_line_for_each_definition() -> None:
    text = json_schema.text(rules())
    assert json.loads(text) == rules()
    assert sum(line.startswith('"attack:pgd": ') for line in text.splitlines()) == 1
