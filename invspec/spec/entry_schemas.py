"""JSON Schemas of entries: the fields of each method, and what a spec says beside them.

Methods are told apart by `if` and `then`, not by `anyOf`: of alternatives, an editor may show the
mistakes of another method. Schemas called `whole` ask for what is required, which in a file that
extends others may be theirs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from typing import Any
from urllib.parse import quote

from invspec.registry.cards import PARTS, Kind, with_article
from invspec.registry.catalogue import Description, Descriptions
from invspec.spec import swept_schemas

Schema = dict[str, Any]

Methods = Mapping[str, Description]

# the kinds of methods that fields of other methods hold
INNER: tuple[Kind, ...] = ("attack", "model")

_USES: Schema = {"type": "object", "required": ["use"]}
_ENTRY = "expected fields, like {eps: 0.1}"

# the keys of entries that hold a method
_HOLDING = frozenset({"before"})
# what such a key or a field needs, unless it is swept
_NAMED: Schema = {
    "if": {"type": "object", "not": {"required": ["sweep"]}},
    "then": {"required": ["use"], "errorMessage": "`use` is missing, as in {use: name}"},
}


def reference(name: str) -> Schema:
    """A reference to a definition."""
    pointer = name.replace("~", "~0").replace("/", "~1")
    return {"$ref": f"#/$defs/{quote(pointer, safe=':~')}"}


def definitions(frame: Schema, methods: Descriptions) -> Schema:
    """The schemas of all methods, of the choices between them and of the parts that hold them.

    The frame gives the keys of entries that are no fields, and the schema of a label.
    """
    schemas: Schema = {"named": _NAMED}
    values = swept_schemas.Values()
    kinds: dict[str, Kind] = {**PARTS, "checks": "check"}
    for part, kind in kinds.items():
        own = dict(frame["entries"].get(part, {}))
        if "before" in own:
            own["before"] = own["before"] | _transform(methods["attack"])
        shared = {key: {"$ref": f"#/$defs/{kind}/properties/{key}"} for key in own}
        schemas |= _parts(part, kind, methods[kind], own, frame["label"])
        schemas |= _choices(kind, kind, methods[kind], own)
        for name, about in methods[kind].items():
            fields = {field.name: values.field(field) for field in about.fields}
            schemas[f"{kind}:{name}"] = _method(kind, name, about, {**fields, **shared})
    for kind in INNER:
        schemas |= _inside(kind, methods[kind])
    return {**schemas, **values.definitions}


def _inside(kind: Kind, methods: Methods) -> Schema:
    """The schemas of methods in a field of another: without the keys of entries."""
    schemas = _choices(f"inner_{kind}", kind, methods, {})
    for name, about in methods.items():
        at = reference(f"{kind}:{name}")["$ref"]
        fields = {field.name: {"$ref": f"{at}/properties/{field.name}"} for field in about.fields}
        schemas[f"inner_{kind}:{name}"] = _method(kind, name, about, fields)
    return schemas


def _method(kind: Kind, name: str, about: Description, keys: Schema) -> Schema:
    """The schema of a mapping that uses a method."""
    texts = (about.summary, about.provenance, about.text)
    return {
        "title": f"{kind} {name}",
        "description": "\n\n".join(filter(None, texts)),
        "properties": {"use": {"$ref": f"#/$defs/{kind}/properties/use"}, **keys},
        "additionalProperties": False,
    }


# ─ choices ──────────────────────────────────────────────────────────────────────────────────────


def _choices(family: str, kind: Kind, methods: Methods, own: Schema) -> Schema:
    """The schema of the method that `use` names, and of one that is whole."""
    thens = {name: reference(f"{family}:{name}") for name in methods}
    needs = {name: need for name, about in methods.items() if (need := _needs(about, {}))}
    missing = f"`use` is missing: the name of {with_article(kind)}"
    if family in PARTS.values():
        missing = f"no {kind} has the name of this label; add `use: name`"
    asked = {**_USES, "errorMessage": missing, **_named(_HOLDING & own.keys())}
    return {
        family: {"properties": {"use": _use(kind, methods), **own}, "allOf": _by_use(thens)},
        f"{family}.whole": {"allOf": [asked, reference(family), *_by_use(needs)]},
    }


def _use(kind: Kind, methods: Methods) -> Schema:
    """The schema of the key that names a method."""
    return {
        "description": f"name of {with_article(kind)}",
        "type": "string",
        "enum": list(methods),
        "enumDescriptions": [about.summary for about in methods.values()],
        "errorMessage": f"no {kind} has this name; `invspec list {kind}` shows all",
    }


def _by_use(rules: Mapping[str, Schema]) -> list[Schema]:
    """The rules for the names that `use` may have."""
    return [
        # a pattern, as editors that complete take a constant for any other that it begins
        {"if": {**_USES, "properties": {"use": _exactly(name)}}, "then": rule}
        for name, rule in rules.items()
    ]


def _exactly(name: str) -> Schema:
    # `re.escape` escapes more than editors allow
    escaped = re.sub(r"[\\^$.|?*+()\[\]{}]", r"\\\g<0>", name)
    return {"type": "string", "pattern": f"^{escaped}$"}


def _needs(about: Description, own: Schema) -> Schema:
    """What a whole mapping that uses a method must have; empty if that is nothing."""
    required = [field.name for field in about.fields if field.default is None]
    methods = {field.name for field in about.fields if _holds_method(field.schema)}
    return {
        **({"required": required} if required else {}),
        **_named(methods | _HOLDING & own.keys()),
    }


def _holds_method(rules: Mapping[str, Any]) -> bool:
    return any("$ref" in part for part in (rules, *rules.get("anyOf", ())))


def _named(keys: Set[str]) -> Schema:
    """The methods that these keys hold must be named."""
    return {"properties": dict.fromkeys(sorted(keys), reference("named"))} if keys else {}


def _transform(attacks: Methods) -> Schema:
    """The schema of an attack that transforms images, before another one."""
    names = {name: about for name, about in attacks.items() if about.transforms}
    words = "expected a transform that ignores the model: " + ", ".join(names)
    use = {**_use("attack", names), "errorMessage": words}
    chosen = {"type": "object", "properties": {"use": use}, "allOf": [reference("inner_attack")]}
    return swept_schemas.swept(chosen)


# ─ parts ────────────────────────────────────────────────────────────────────────────────────────


def _parts(part: str, kind: Kind, methods: Methods, own: Schema, label: Schema) -> Schema:
    """The schemas of a part: where a file that it extends may complete entries, and whole."""
    entries: Schema = {}
    whole: Schema = {}
    for name, about in methods.items():
        method, needs = reference(f"{kind}:{name}"), _needs(about, own)
        needed = {"allOf": [method, needs]} if needs else method
        about_it = {"title": f"{kind} {name}", "description": about.summary}
        entries[name] = {**about_it, **_labelled(reference(kind), method)}
        whole[name] = {**about_it, **_labelled(reference(f"{kind}.whole"), needed)}
    rules = {"minProperties": 1, "propertyNames": label}
    other = {"type": ["object", "null"], "errorMessage": _ENTRY}
    return {
        part: {**rules, "properties": entries, "additionalProperties": other | reference(kind)},
        f"{part}.whole": {
            **rules,
            "properties": whole,
            "additionalProperties": {**other, "type": "object", **reference(f"{kind}.whole")},
        },
    }


def _labelled(chosen: Schema, method: Schema) -> Schema:
    """The schema of an entry whose label is a method's name, which it uses unless it says `use`."""
    rules = {"type": ["object", "null"], "errorMessage": _ENTRY}
    return {**rules, "if": _USES, "then": chosen, "else": method}
