"""The whole message for every mistake in a spec that we could think of.

BASE is valid; each entry of BAD breaks it in one place. In messages, {attacks} and the like stand
for the names of the registry, {PGD} for the parameters of a class and {papers} for the keys of
papers.yaml, because these grow.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from invspec import cli
from invspec.registry.cards import KINDS, names, papers
from invspec.registry.methods import resolve
from invspec.spec import document, reader
from invspec.spec.schema import Written

BASE = """\
title: toy
datasets:
  fake: {}
models:
  linear: {}
defences:
  standard: {}
attacks:
  pgd: {eps: 0.1}
measures:
  accuracy: {of: pgd}
train:
  - {dataset: fake, model: linear, defence: standard}
"""


def with_(**lines: str) -> str:
    """BASE with other text for the one line that is below a key."""
    text = BASE
    for key, line in lines.items():
        (old,) = [
            below
            for above, below in zip(text.split("\n"), text.split("\n")[1:], strict=False)
            if above == f"{key}:"
        ]
        text = text.replace(f"{key}:\n{old}\n", f"{key}:\n{line}\n")
    return text


def attack(entry: str) -> str:
    return with_(attacks=f"  pgd: {entry}")


def nested(attack: str) -> str:
    return with_(defences=f"  standard: {{use: adversarial_training, attack: {attack}}}")


def claim(rest: str) -> str:
    return f"{BASE}claims:\n  - {{{rest}}}\n"


def value(expect: str) -> str:
    return claim(f"says: a, value: {{measure: accuracy}}, expect: {expect}")


def listed(numbers: range, scale: float = 1) -> str:
    return "[" + ", ".join(str(number * scale) for number in numbers) + "]"


# seeds_paired has no key of its own: `seeds: {paired: [...]}` sets it
SPEC_KEYS = [name for name in Written.model_fields if name != "seeds_paired"]


def filled(message: str) -> str:
    """A message with the registry's words for {attacks} and the like; more than 24 are omitted."""
    words = {f"{kind}s": list(names(kind)) for kind in KINDS}
    words |= {"papers": sorted(papers()), "keys": sorted(SPEC_KEYS)}
    for method in (resolve("attack", "pgd"), resolve("dataset", "fake")):
        words[method.__name__] = sorted(
            field.alias or name for name, field in method.model_fields.items()
        )
    for hole, known in words.items():
        if len(known) > 24:
            message = message.replace(f" (known: {{{hole}}})", "").replace(
                f"\nhint: known: {{{hole}}}", ""
            )
    return message.format(**{hole: ", ".join(known) for hole, known in words.items()})


LABEL = "expected a label (a letter, then at most 63 letters, digits, - and _), found"
NUMBER = "expected a number or a fraction like 8/255"
SPEC = f"hint: keys: {', '.join(SPEC_KEYS)}"
PLAIN = "hint: a spec holds text, numbers, lists and keys"
STATISTIC = "expected rising, falling, or one statistic, like {{value: {{above: 0.5}}}}"

BAD: dict[str, tuple[str | bytes, str]] = {
    # ─ names ─
    "no such dataset": (
        with_(datasets="  fake: {use: fak}"),
        "x.yaml:3: datasets.fake.use: no dataset is named 'fak'\n"
        "hint: did you mean fake? (known: {datasets})",
    ),
    "no such model": (
        with_(models="  linaer: {}"),
        "x.yaml:5: models.linaer: no model is named 'linaer'\n"
        "hint: did you mean linear? (known: {models})",
    ),
    "no such defence": (
        with_(defences="  standart:"),
        "x.yaml:7: defences.standart: no defence is named 'standart'\n"
        "hint: did you mean standard? (known: {defences})",
    ),
    "no such attack": (
        attack("{use: pdg}"),
        "x.yaml:9: attacks.pgd.use: no attack is named 'pdg'\n"
        "hint: did you mean pgd? (known: {attacks})",
    ),
    "no such attack in a defence": (
        nested("{use: pdg}"),
        "x.yaml:7: defences.standard.attack: no attack is named 'pdg'\n"
        "hint: did you mean pgd? (known: {attacks})",
    ),
    "no such measure": (
        with_(measures="  accuracy: {use: acuracy, of: pgd}"),
        "x.yaml:11: measures.accuracy.use: no measure is named 'acuracy'\n"
        "hint: did you mean accuracy? (known: {measures})",
    ),
    "a class instead of a name": (
        attack("{use: 'invspec.attacks.pgd:PGD'}"),
        "x.yaml:9: attacks.pgd.use: no attack is named 'invspec.attacks.pgd:PGD'\n"
        "hint: `invspec list attack` shows all names",
    ),
    "a path instead of a name": (
        attack("{use: ../../etc/passwd}"),
        "x.yaml:9: attacks.pgd.use: no attack is named '../../etc/passwd'\n"
        "hint: `invspec list attack` shows all names",
    ),
    "a list of names": (
        attack("{use: [pgd]}"),
        "x.yaml:9: attacks.pgd.use: expected text, found ['pgd']\nhint: write pgd alone",
    ),
    "no such paper": (
        BASE + "paper: kammath2020\n",
        "x.yaml:14: paper: no paper has the key 'kammath2020'\n"
        "hint: did you mean kamath2020? (known: {papers})",
    ),
    "a paper's year": (
        BASE + "paper: 2020\n",
        "x.yaml:14: paper: expected text, found 2020",
    ),
    # ─ labels ─
    "a label with slashes": (
        with_(attacks="  ../../etc: {use: pgd}"),
        f"x.yaml:9: attacks.'../../etc': {LABEL} '../../etc'",
    ),
    "a label with a dot": (
        with_(attacks="  pgd.eps: {use: pgd}"),
        f"x.yaml:9: attacks.pgd.eps: {LABEL} 'pgd.eps'",
    ),
    "a label of two lines": (
        with_(attacks='  "a\\nb": {use: pgd}'),
        f"x.yaml:9: attacks.'a\\nb': {LABEL} 'a\\nb'",
    ),
    "an empty label": (
        with_(attacks="  '': {use: pgd}"),
        f"x.yaml:9: attacks.'': {LABEL} ''",
    ),
    "a long label": (
        with_(attacks=f"  {'a' * 65}: {{use: pgd}}"),
        f"x.yaml:9: attacks.{'a' * 65}: {LABEL} '{'a' * 56}...",
    ),
    "a number as a label": (
        with_(attacks="  3: {use: pgd}"),
        f"x.yaml:9: attacks.3: {LABEL} '3'",
    ),
    "a scale with a slash": (
        BASE + "scales: {a/b: {}}\n",
        f"x.yaml:14: scales.'a/b': {LABEL} 'a/b'",
    ),
    "two swept entries of one label": (
        with_(
            attacks="  same: {use: pgd, eps: {sweep: [0, 1]}}",
            defences="  same: {use: rotation_augmentation, max_degrees: {sweep: [0, 1]}}",
            measures="  accuracy: {of: same}",
        ).replace("defence: standard", "defence: same"),
        "x.yaml:9: attacks.same: the label 'same' is used for swept defences and swept attacks\n"
        "hint: give one of them another label",
    ),
    # ─ keys ─
    "an unknown key": (
        BASE + "claim: []\n",
        "x.yaml:14: claim: unknown key 'claim'\nhint: did you mean claims? (known: {keys})",
    ),
    "a misspelt parameter": (
        attack("{eps: 0.1, step_sise: 0.01}"),
        "x.yaml:9: attacks.pgd.step_sise: PGD has no such parameter\n"
        "hint: did you mean step_size? (PGD takes: {PGD})",
    ),
    "an unknown parameter": (
        attack("{target: 'os:system'}"),
        "x.yaml:9: attacks.pgd.target: PGD has no such parameter\nhint: PGD takes: {PGD}",
    ),
    "a misspelt parameter of a dataset": (
        with_(datasets="  fake: {clases: 3}"),
        "x.yaml:3: datasets.fake.clases: Fake has no such parameter\n"
        "hint: did you mean classes? (Fake takes: {Fake})",
    ),
    "a parameter where there are none": (
        with_(models="  linear: {bias: true}"),
        "x.yaml:5: models.linear.bias: Linear has no such parameter\nhint: Linear takes none",
    ),
    "a misspelt parameter in a defence's attack": (
        nested("{use: pgd, stepz: 1}"),
        "x.yaml:7: defences.standard.attack.stepz: PGD has no such parameter\n"
        "hint: did you mean steps? (PGD takes: {PGD})",
    ),
    "a sample in a defence's attack": (
        nested("{use: pgd, sample: {limit: 2}}"),
        "x.yaml:7: defences.standard.attack.sample: PGD has no such parameter\n"
        "hint: PGD takes: {PGD}",
    ),
    "a misspelt key of a sample": (
        attack("{sample: {limt: 2}}"),
        "x.yaml:9: attacks.pgd.sample.limt: unknown key 'limt'\n"
        "hint: did you mean limit? (known: limit, per_class, split, targets)",
    ),
    "targets that are chosen two ways": (
        attack("{sample: {targets: {per_class: 1, each: 2}}}"),
        "x.yaml:9: attacks.pgd.sample.targets: expected one of per_class, indices, "
        "nth_of_class and each, found per_class and each",
    ),
    "targets that are not chosen": (
        attack("{sample: {targets: {seed: 1}}}"),
        "x.yaml:9: attacks.pgd.sample.targets: expected one of per_class, indices, "
        "nth_of_class and each, found none",
    ),
    "a split without examples": (
        with_(
            datasets="  fake: {use: mnist, val: 0}",
            attacks="  pgd: {eps: 0.1, sample: {split: val}}",
        ),
        "x.yaml:9: attacks.pgd: the split val of fake has no examples\n"
        "hint: choose another split, or give the data set a larger one",
    ),
    "an attack without its targets": (
        with_(attacks="  pgd: {use: nspgd}"),
        "x.yaml:9: attacks.pgd: attack pgd needs target images of other classes, found no targets\n"
        "hint: write `sample: {{targets: {{per_class: 1}}}}`",
    ),
    "a comparison of the targets of a class, one of each": (
        with_(
            attacks="  pgd: {use: nspgd, sample: {targets: {per_class: 1}}}",
            measures="  accuracy: {use: class_effect, effect: target_image, of: pgd}",
        ),
        "x.yaml:11: measures.accuracy: measure accuracy compares the targets of a class, "
        "found one of each class in attack pgd\n"
        "hint: write `sample: {{targets: {{per_class: 2}}}}`, or more",
    ),
    "a measure of pairs of an attack that has none": (
        with_(measures="  accuracy: {use: success_rate, of: pgd}"),
        "x.yaml:9: attacks.pgd: measure accuracy needs target images of other classes, found no "
        "targets\n"
        "hint: write `sample: {{targets: {{per_class: 1}}}}`",
    ),
    "a misspelt key of a train line": (
        BASE.replace("model: linear", "modle: linear"),
        "x.yaml:13: train.0.modle: unknown key 'modle'\n"
        "hint: did you mean model? (known: dataset, defence, measures, model)",
    ),
    "a misspelt key of a claim": (
        claim("sayz: a, value: {measure: accuracy}, expect: {value: {above: 0}}"),
        "x.yaml:15: claims.0.sayz: unknown key 'sayz'\n"
        "hint: did you mean says? (known: compare, expect, given, one_of, published, says, source, "
        "trend, value)",
    ),
    "a misspelt key of a pick": (
        claim("says: a, value: {measur: accuracy}, expect: {value: {above: 0}}"),
        "x.yaml:15: claims.0.value.measur: unknown key 'measur'\n"
        "hint: did you mean measure? (known: as, at, measure, over)",
    ),
    "a misspelt bound": (
        value("{value: {abvoe: 0}}"),
        "x.yaml:15: claims.0.expect.value.abvoe: unknown key 'abvoe'\n"
        "hint: did you mean above? (known: above, below, near, within)",
    ),
    "a misspelt key of a layout": (
        BASE + "report:\n  - {of: accuracy, colums: model}\n",
        "x.yaml:15: report.0.colums: unknown key 'colums'\n"
        "hint: did you mean columns? (known: against, at, best, columns, decimals, figure, legend, "
        "names, of, percent, published, rows, title)",
    ),
    "no title": (
        BASE.replace("title: toy\n", ""),
        "x.yaml:1: title: is missing",
    ),
    "no model in a train line": (
        BASE.replace("model: linear, ", ""),
        "x.yaml:13: train.0.model: is missing",
    ),
    "a sample of a model": (
        with_(models="  linear: {sample: {limit: 2}}"),
        "x.yaml:5: models.linear.sample: `sample` is a key of attacks, found it in models\n"
        "hint: remove it",
    ),
    "a model that is independent": (
        with_(models="  linear: {independent: true}"),
        "x.yaml:5: models.linear.independent: `independent` is a key of attacks, found it in "
        "models\nhint: remove it",
    ),
    "an attack that is independent by name": (
        attack("{use: pgd, independent: of others}"),
        "x.yaml:9: attacks.pgd.independent: expected true or false, found 'of others'",
    ),
    "a panel beside no profile": (
        BASE + "report:\n  - {of: accuracy, figure: beside}\n",
        "x.yaml:15: report.0.figure: expected a profile in the previous layout, found no layout\n"
        "hint: `figure: profile` starts a new figure",
    ),
    "a legend with an unknown coordinate": (
        BASE + "report:\n  - {of: accuracy, legend: '{eps}/0'}\n",
        "x.yaml:15: report.0.legend: no coordinate 'eps'\nhint: this table has no row coordinates",
    ),
    "a measure without its oracle": (
        with_(measures="  shown: {use: semantic_share, of: pgd}"),
        "x.yaml:11: measures.shown: SemanticShare needs an oracle\n"
        "hint: write `oracle: {{model: label, defence: label}}`, a second classifier as ground "
        "truth",
    ),
    "an oracle for a measure that takes none": (
        with_(measures="  accuracy: {of: pgd, oracle: {model: linear, defence: standard}}"),
        "x.yaml:11: measures.accuracy.oracle: Accuracy takes no oracle\nhint: remove it",
    ),
    "an oracle with an unknown label": (
        with_(
            measures="  shown: {use: semantic_share, of: pgd, "
            "oracle: {model: linaer, defence: standard}}"
        ),
        "x.yaml:11: measures.shown.oracle.model: no model has the label 'linaer' in this spec\n"
        "hint: did you mean linear? (known: linear)",
    ),
    "an oracle without a training": (
        with_(measures="  shown: {use: semantic_share, of: pgd, oracle: {model: linear}}"),
        "x.yaml:11: measures.shown.oracle.defence: is missing",
    ),
    "a swept oracle": (
        with_(
            measures="  shown: {use: semantic_share, of: pgd, "
            "oracle: {model: linear, defence: standard}}",
            defences="  standard: {epochs: {sweep: [1, 2]}}",
        ),
        "x.yaml:11: measures.shown.oracle.defence: an oracle must be one model; defence standard "
        "is swept\n"
        "hint: add a defence without a sweep for the oracle",
    ),
    "an attack with an oracle": (
        attack("{oracle: {model: linear, defence: standard}}"),
        "x.yaml:9: attacks.pgd.oracle: `oracle` is a key of measures, found it in attacks\n"
        "hint: remove it",
    ),
    "an attack of something": (
        attack("{of: pgd}"),
        "x.yaml:9: attacks.pgd.of: `of` is a key of measures, found it in attacks\nhint: remove it",
    ),
    # ─ types ─
    "an entry that is a text": (
        attack("fgsm"),
        "x.yaml:9: attacks.pgd: expected parameters, like {{eps: 0.1}}, or nothing, found 'fgsm'",
    ),
    "an entry that is a list": (
        attack("[0.1]"),
        "x.yaml:9: attacks.pgd: expected parameters, like {{eps: 0.1}}, or nothing, found [0.1]",
    ),
    "attacks in a list": (
        with_(attacks="  - pgd"),
        "x.yaml:8: attacks: expected keys with values, found ['pgd']",
    ),
    "no attacks": (
        with_(attacks="  {}"),
        "x.yaml:8: attacks: expected at least one entry, found none",
    ),
    "nothing below attacks": (
        with_(attacks=""),
        "x.yaml:8: attacks: expected keys with values, found nothing",
    ),
    "a name for a defence's attack": (
        nested("pgd"),
        "x.yaml:7: defences.standard.attack: expected {{use: name, ...fields}}, found 'pgd'",
    ),
    "a defence's attack without a name": (
        nested("{eps: 0.1}"),
        "x.yaml:7: defences.standard.attack: expected {{use: name, ...fields}}, found {{'eps': "
        "0.1}}",
    ),
    "a word for a number": (
        attack("{eps: big}"),
        f"x.yaml:9: attacks.pgd.eps: {NUMBER}, found 'big'",
    ),
    "a list for a number": (
        attack("{eps: [0.1, 0.2]}"),
        "x.yaml:9: attacks.pgd.eps: expected a number, found [0.1, 0.2]\n"
        "hint: several values are a sweep: eps: {{sweep: [0.1, 0.2]}}",
    ),
    "a list of words for a word": (
        attack("{norm: [linf, l2]}"),
        "x.yaml:9: attacks.pgd.norm: expected 'linf', 'l2' or 'l1', found ['linf', 'l2']\n"
        "hint: several values are a sweep: norm: {{sweep: [linf, l2]}}",
    ),
    "milestones beyond the epochs": (
        with_(defences="  standard: {use: trades, epochs: 12}"),
        "x.yaml:7: defences.standard: milestones [54, 74, 89] are not increasing epochs below 12\n"
        "hint: set them with the epochs: milestones: [6, 9, 11]",
    ),
    "keys for a number": (
        attack("{eps: {swep: [0.1]}}"),
        "x.yaml:9: attacks.pgd.eps: expected a number, found {{'swep': [0.1]}}",
    ),
    "nothing for a number": (
        attack("{eps: }"),
        "x.yaml:9: attacks.pgd.eps: expected a number, found nothing",
    ),
    "yes for a number": (
        attack("{eps: yes}"),
        "x.yaml:9: attacks.pgd.eps: expected a number, found true",
    ),
    "on for a whole number": (
        attack("{steps: on}"),
        "x.yaml:9: attacks.pgd.steps: expected a number, found true",
    ),
    "a fraction for a whole number": (
        attack("{steps: 2.5}"),
        "x.yaml:9: attacks.pgd.steps: expected a whole number, found 2.5",
    ),
    "a number for a truth": (
        attack("{random_start: 2}"),
        "x.yaml:9: attacks.pgd.random_start: expected true or false, found 2",
    ),
    "a norm that is none": (
        attack("{norm: linff}"),
        "x.yaml:9: attacks.pgd.norm: expected 'linf', 'l2' or 'l1', found 'linff'",
    ),
    "a number as title": (
        BASE.replace("toy", "3"),
        "x.yaml:1: title: expected text, found 3",
    ),
    "an empty title": (
        BASE.replace("toy", "''"),
        "x.yaml:1: title: expected text of length 1 or more, found ''",
    ),
    "a sample that is a word": (
        attack("{sample: all}"),
        "x.yaml:9: attacks.pgd.sample: expected keys with values, found 'all'",
    ),
    "train without a dash": (
        with_(train="  {dataset: fake, model: linear, defence: standard}"),
        "x.yaml:12: train: expected a list, found {{'dataset': 'fake', 'model': 'linear', "
        "'defence': 'standa...",
    ),
    "a scale that is a word": (
        BASE + "scales: {laptop: small}\n",
        "x.yaml:14: scales.laptop: expected keys with values, found 'small'",
    ),
    # ─ ranges ─
    "eps below 0": (
        attack("{eps: -0.1}"),
        "x.yaml:9: attacks.pgd.eps: expected at least 0, found -0.1",
    ),
    "eps that is no number": (
        attack("{eps: .nan}"),
        "x.yaml:9: attacks.pgd.eps: expected a finite number, found nan",
    ),
    "eps without end": (
        attack("{eps: .inf}"),
        "x.yaml:9: attacks.pgd.eps: expected a finite number, found inf",
    ),
    "a fraction over 0": (
        attack("{eps: 8/0}"),
        f"x.yaml:9: attacks.pgd.eps: {NUMBER}, found '8/0'",
    ),
    "no steps": (
        attack("{steps: 0}"),
        "x.yaml:9: attacks.pgd.steps: expected at least 1, found 0",
    ),
    "more than half a turn": (
        attack("{use: random_rotation, max_degrees: 200}"),
        "x.yaml:9: attacks.pgd.max_degrees: expected at most 180, found 200",
    ),
    "a number of a thousand digits": (
        attack(f"{{steps: {'9' * 1000}}}"),
        "x.yaml:9: expected a number of at most 100 digits, found 1,000",
    ),
    "text that looks like a number": (
        attack("{steps: 0b_}"),
        "x.yaml:9: '0b_' looks like a number but is not one\nhint: quote it",
    ),
    "restarts that are all the same": (
        attack("{restarts: 2, random_start: false}"),
        "x.yaml:9: attacks.pgd: without random_start all 2 restarts are equal; "
        "set random_start: true or restarts: 1",
    ),
    "a negative seed": (
        BASE + "seeds: [0, -1]\n",
        "x.yaml:14: seeds.1: expected at least 0, found -1",
    ),
    "a large seed": (
        BASE + "seeds: [2147483648]\n",
        "x.yaml:14: seeds.0: expected less than 2147483648, found 2147483648",
    ),
    "half a seed": (
        BASE + "seeds: [0.5]\n",
        "x.yaml:14: seeds.0: expected a whole number, found 0.5",
    ),
    "a true seed": (
        BASE + "seeds: [true]\n",
        "x.yaml:14: seeds.0: expected a whole number, found true",
    ),
    "a seed outside a list": (
        BASE + "seeds: 3\n",
        "x.yaml:14: seeds: expected a list, found 3\n"
        "hint: 3 seeds are [0, 1, 2], and seed 3 alone is [3]",
    ),
    "no seeds": (
        BASE + "seeds: []\n",
        "x.yaml:14: seeds: expected a list of at least 1, found []",
    ),
    "a seed twice": (
        BASE + "seeds: [0, 1, 0]\n",
        "x.yaml:14: seeds: expected distinct seeds, found duplicate seed 0",
    ),
    "an unknown precision": (
        BASE + "precision: float16\n",
        "x.yaml:14: precision: expected 'float32', 'bfloat16' or 'auto', found 'float16'",
    ),
    "an unknown precision of a training": (
        BASE.replace("standard: {}", "standard: {precision: fp16}"),
        "x.yaml:7: defences.standard.precision: "
        "expected 'float32', 'tf32', 'bfloat16' or 'auto', found 'fp16'",
    ),
    "a sample of none": (
        attack("{sample: {limit: 0}}"),
        "x.yaml:9: attacks.pgd.sample.limit: expected at least 1, found 0",
    ),
    "a sample counted twice": (
        attack("{sample: {limit: 10, per_class: 1}}"),
        "x.yaml:9: attacks.pgd.sample: expected one of limit and per_class, found both: "
        "limit 10 and per_class 1",
    ),
    "a sample of an unknown split": (
        attack("{sample: {split: tset}}"),
        "x.yaml:9: attacks.pgd.sample.split: expected 'train', 'val' or 'test', found 'tset'",
    ),
    # ─ sweeps ─
    "an empty sweep": (
        attack("{eps: {sweep: []}}"),
        "x.yaml:9: attacks.pgd.eps.sweep: expected a list of at least one value, found []",
    ),
    "a sweep of one number": (
        attack("{eps: {sweep: 0.1}}"),
        "x.yaml:9: attacks.pgd.eps.sweep: expected a list of at least one value, found 0.1",
    ),
    "a sweep of a whole entry": (
        attack("{sweep: [0.1]}"),
        "x.yaml:9: attacks.pgd: a sweep must replace the value of one field\n"
        "hint: write field: {{sweep: [...]}}",
    ),
    "a sweep with company": (
        attack("{eps: {sweep: [0.1], steps: 3}}"),
        "x.yaml:9: attacks.pgd.eps: a sweep must replace the value of one field\n"
        "hint: write field: {{sweep: [...]}}",
    ),
    "a sweep in a sweep": (
        attack("{eps: {sweep: [{sweep: [0.1]}]}}"),
        "x.yaml:9: attacks.pgd.eps.sweep.0: expected a number, found {{'sweep': [0.1]}}",
    ),
    "a value twice in a sweep": (
        attack("{eps: {sweep: [8/255, 0.1, 16/510]}}"),
        f"x.yaml:9: attacks.pgd.eps: duplicate value in a sweep: pgd.eps {8 / 255}\n"
        "hint: remove one: their cells would have the same coordinates",
    ),
    "a method twice in a sweep": (
        nested("{sweep: [{use: pgd}, {use: pgd, eps: 0.2}]}"),
        "x.yaml:7: defences.standard.attack: duplicate value in a sweep: standard.attack pgd\n"
        "hint: remove one: their cells would have the same coordinates",
    ),
    "a wrong value in a sweep": (
        attack("\n    eps:\n      sweep:\n        - 0.1\n        - -3"),
        "x.yaml:13: attacks.pgd.eps.sweep.1: expected at least 0, found -3",
    ),
    "a wrong value in a nested sweep": (
        nested("{use: pgd, eps: {sweep: [0.1, -3]}}"),
        "x.yaml:7: defences.standard.attack.eps.sweep.1: expected at least 0, found -3",
    ),
    "a sweep of names": (
        attack("{use: {sweep: [pgd, fgsm]}}"),
        "x.yaml:9: attacks.pgd.use: expected text, found {{'sweep': ['pgd', 'fgsm']}}",
    ),
    "a sweep of seeds": (
        BASE + "seeds: {sweep: [1]}\n",
        "x.yaml:14: seeds: expected a list, found {{'sweep': [1]}}",
    ),
    "sweeps that multiply to too much": (
        attack(
            f"{{eps: {{sweep: {listed(range(101), 0.001)}}}, "
            f"steps: {{sweep: {listed(range(1, 101))}}}}}"
        ),
        "x.yaml:9: attacks.pgd: expected at most 10,000 methods, found 10,103 up to here\n"
        "hint: sweep fewer values",
    ),
    "products that multiply to too much": (
        attack(
            f"{{eps: {{sweep: {listed(range(90), 0.001)}}}, "
            f"steps: {{sweep: {listed(range(1, 101))}}}}}"
        )
        + f"seeds: {listed(range(30))}\n",
        "x.yaml:12: train: expected at most 200,000 cells, found 270,000\n"
        "hint: drop labels, seeds or values of sweeps",
    ),
    "more examples than can be planned": (
        with_(datasets=f"  fake: {{test: {10**15}}}"),
        "x.yaml:9: attacks.pgd: expected at most 2,000,000 tasks, found more: "
        "1,000,000,000,000,000 examples in each of 1 cells\n"
        "hint: take fewer examples with `sample: {{limit: ...}}`",
    ),
    # ─ YAML ─
    "a key twice": (
        BASE + "title: other\n",
        "x.yaml:14: duplicate key 'title'\nhint: keep one of them",
    ),
    "a parameter twice": (
        attack("{eps: 0.1, eps: 0.2}"),
        "x.yaml:9: duplicate key 'eps'\nhint: keep one of them",
    ),
    "a tab": (
        BASE.replace("  linear", "\tlinear"),
        "x.yaml:5: not YAML: found character that cannot start any token\n"
        "hint: indent with spaces; quote text that begins with @, %, ` or a tab",
    ),
    "an open bracket": (
        attack("{eps: 0.1"),
        "x.yaml:10: not YAML: did not find expected ',' or '}}'\n"
        "hint: is a bracket left open above?",
    ),
    "an open quote": (
        BASE.replace("toy", "'toy"),
        "x.yaml:14: not YAML: found unexpected end of stream\nhint: is a quote left open above?",
    ),
    "a key that is a truth": (
        attack("{on: 1}"),
        'x.yaml:9: YAML reads the key on as true\nhint: write "on"',
    ),
    "a label that is a truth": (
        with_(defences="  no: {use: standard}"),
        'x.yaml:7: YAML reads the key no as false\nhint: write "no"',
    ),
    "a key that is a list": (
        with_(defences="  ? [a]\n  : {}"),
        "x.yaml:7: expected a plain word as key, found a list, keys or an alias",
    ),
    "a merge": (
        attack("{<<: {eps: 0.1}}"),
        "x.yaml:9: merge keys (<<) are not supported\nhint: repeat the keys",
    ),
    "an alias bomb": (
        "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"a{i + 1}: &a{i + 1} [{', '.join([f'*a{i}'] * 9)}]\n" for i in range(9)),
        "x.yaml:5: expected at most 50,000 values, found more\nhint: aliases count as written out",
    ),
    "a deep chain of aliases": (
        "a0: &a0 [x]\n" + "".join(f"a{i + 1}: &a{i + 1} [*a{i}]\n" for i in range(40)),
        "x.yaml:32: expected at most 32 levels of nesting, found more\n"
        "hint: aliases count as written out",
    ),
    "an alias inside its own anchor": (
        "title: &a [*a]\n",
        "x.yaml:1: *a refers to an anchor that is not defined above it\n"
        "hint: expected a complete &a above",
    ),
    "five hundred brackets": (
        "title: " + "[" * 500 + "]" * 500,
        "x.yaml:1: expected at most 32 levels of nesting, found more\n"
        "hint: aliases count as written out",
    ),
    "a python tag": (
        BASE.replace("toy", "!!python/object/apply:os.system [ls]"),
        f"x.yaml:1: the tag !!python/object/apply:os.system is not allowed\n{PLAIN}",
    ),
    "a tag of one's own": (
        BASE.replace("toy", "!env HOME"),
        f"x.yaml:1: the tag !env is not allowed\n{PLAIN}",
    ),
    "a tag that is wrong": (
        BASE.replace("toy", "!!int toy"),
        f"x.yaml:1: the tag !!int is not allowed\n{PLAIN}",
    ),
    "two documents": (
        BASE + "---\n" + BASE,
        "x.yaml:14: expected one document, found a second\nhint: one file holds one spec",
    ),
    "a NUL": (
        "title: toy\na: b\0c\n",
        "x.yaml:2: not YAML: control characters are not allowed",
    ),
    "Latin-1": (
        b"title: caf\xe9\n",
        "x.yaml: not UTF-8 text: invalid byte at position 10\nhint: a spec is YAML text in UTF-8",
    ),
    "UTF-16": (
        "title: toy\n".encode("utf-16"),
        "x.yaml: UTF-16 text, expected UTF-8\nhint: save it as UTF-8",
    ),
    "a title that YAML reads as false": (
        BASE.replace("title: toy", "title: off"),
        "x.yaml:1: title: expected text, found false\n"
        "hint: YAML reads no, off and false as false; quote the word if it is text",
    ),
    "a label that YAML reads as false": (
        with_(measures="  accuracy: {of: no}"),
        "x.yaml:11: measures.accuracy.of: expected a label or a list of labels, found false\n"
        "hint: YAML reads no, off and false as false; quote the word if it is text",
    ),
    "a choice that YAML reads as true": (
        attack("{norm: on}"),
        "x.yaml:9: attacks.pgd.norm: expected 'linf', 'l2' or 'l1', found true\n"
        "hint: YAML reads yes, on and true as true; quote the word if it is text",
    ),
    "an octal number": (
        "title: toy\nseeds: [0, 010]\n",
        "x.yaml:2: 010 begins with 0: some readers of YAML take it for octal\n"
        "hint: write 10, or quote it if it is text",
    ),
    "an empty file": (
        "",
        f"x.yaml: expected the keys of a spec, found nothing\n{SPEC}",
    ),
    "a list": (
        "- a\n- b\n",
        f"x.yaml:1: expected the keys of a spec, found ['a', 'b']\n{SPEC}",
    ),
    "a text": (
        "\nhello\n",
        f"x.yaml:2: expected the keys of a spec, found 'hello'\n{SPEC}",
    ),
    # ─ labels and products ─
    "a measure without attacks": (
        with_(measures="  accuracy: {}"),
        "x.yaml:11: measures.accuracy: Accuracy takes 1 attack, found 0\n"
        "hint: write `of: [label of an attack]`",
    ),
    "an attack twice in a worst case": (
        with_(measures="  accuracy: {of: [pgd, pgd]}"),
        "x.yaml:11: measures.accuracy.of: duplicate attack pgd\nhint: remove it",
    ),
    "a measure of too many attacks": (
        with_(measures="  source_confidence: {of: [pgd, pgd]}"),
        "x.yaml:11: measures.source_confidence.of: SourceConfidence takes 1 attack, found 2\n"
        "hint: measure them one by one: it has no worst case over several attacks",
    ),
    "a measure of an empty list": (
        with_(measures="  accuracy: {of: []}"),
        "x.yaml:11: measures.accuracy.of: expected a list of at least 1, found []",
    ),
    "a measure of a number": (
        with_(measures="  accuracy: {of: 3}"),
        "x.yaml:11: measures.accuracy.of: expected a label or a list of labels, found 3",
    ),
    "a measure of an attack that is not there": (
        with_(measures="  accuracy: {of: pdg}"),
        "x.yaml:11: measures.accuracy.of: no attack has the label 'pdg' in this spec\n"
        "hint: did you mean pgd? (known: pgd)",
    ),
    "an unknown dataset in train": (
        BASE.replace("dataset: fake", "dataset: mnist"),
        "x.yaml:13: train.0.dataset: no dataset has the label 'mnist' in this spec\n"
        "hint: known: fake",
    ),
    "an unknown measure in train": (
        BASE.replace("standard}", "standard, measures: acc}"),
        "x.yaml:13: train.0.measures: no measure has the label 'acc' in this spec\n"
        "hint: known: accuracy",
    ),
    "no train lines": (
        BASE.split("train:")[0] + "train: []\n",
        "x.yaml:12: train: expected a list of at least 1, found []",
    ),
    "nothing below train": (
        BASE.split("train:")[0] + "train:\n",
        "x.yaml:12: train: expected a list, found nothing",
    ),
    "a train line that is a word": (
        with_(train="  - fake"),
        "x.yaml:13: train.0: expected keys with values, found 'fake'",
    ),
    "images too small for a model": (
        with_(datasets="  fake: {shape: [1, 8, 8]}", models="  stdcnn:").replace(
            "model: linear", "model: stdcnn"
        ),
        "x.yaml:13: train.0.model: stdcnn on fake: StdCNN needs images of at least 16x16, found "
        "8x8\n"
        "hint: its images are 1x8x8",
    ),
    "an attack that does not fit a model": (
        attack("{use: pgd_kamath}")
        .replace("  linear:", "  lenet:")
        .replace("model: linear", "model: lenet"),
        "x.yaml:13: train.0: attack pgd does not fit model lenet\n"
        "hint: it needs a model that first subtracts a mean and divides by a standard deviation, "
        "per channel",
    ),
    # ─ claims and layouts ─
    "a claim without a form": (
        claim("says: a, expect: {value: {above: 0}}"),
        "x.yaml:15: claims.0: expected one of value, compare and trend, found none",
    ),
    "a claim of two forms": (
        claim(
            "says: a, value: {measure: accuracy}, trend: {measure: accuracy, along: pgd.eps}, "
            "expect: rising"
        ),
        "x.yaml:15: claims.0: expected one of value, compare and trend, found value and trend",
    ),
    "a claim about the wrong statistic": (
        value("{difference: {above: 0}}"),
        "x.yaml:15: claims.0: a value claim expects a bound on its value, found difference",
    ),
    "a value that rises": (
        value("rising"),
        "x.yaml:15: claims.0: a value claim expects a bound on its value, found correlation",
    ),
    "a misspelt statistic": (
        value("{valeu: {above: 0}}"),
        "x.yaml:15: claims.0.expect.valeu: unknown statistic 'valeu'\n"
        "hint: did you mean value? (known: correlation, difference, dominance, falling, greatest, "
        "greatest_step, least, least_step, ratio, rising, sum, value)",
    ),
    "a misspelt trend": (
        value("risng"),
        f"x.yaml:15: claims.0.expect: {STATISTIC}, found 'risng'",
    ),
    "two statistics": (
        value("{value: {above: 0}, ratio: {above: 1}}"),
        f"x.yaml:15: claims.0.expect: {STATISTIC}, found {{{{'value': {{{{'above': 0}}}}, 'ratio': "
        f"{{{{'above': 1}}}}}}}}",
    ),
    "a claim that expects nothing": (
        claim("says: a, value: {measure: accuracy}"),
        "x.yaml:15: claims.0.expect: is missing",
    ),
    "contradictory bounds": (
        value("{value: {above: 0.5, below: 0.2}}"),
        "x.yaml:15: claims.0.expect.value: no number is both above 0.5 and below 0.2",
    ),
    "contradictory bounds around a number": (
        value("{value: {near: 0.5, within: 0.1, below: 0.3}}"),
        "x.yaml:15: claims.0.expect.value: no number is both above 0.4 and below 0.3",
    ),
    "near without within": (
        value("{value: {near: 0.5}}"),
        "x.yaml:15: claims.0.expect.value: expected near and within together, found near alone",
    ),
    "near within nothing": (
        value("{value: {near: 0.5, within: 0}}"),
        "x.yaml:15: claims.0.expect.value.within: expected more than 0, found 0",
    ),
    "a bound without a number": (
        value("{value: {}}"),
        "x.yaml:15: claims.0.expect.value: expected above, below, or near with within, found none "
        "of them",
    ),
    "a bound that is a number": (
        value("{value: 0.5}"),
        "x.yaml:15: claims.0.expect.value: expected keys with values, found 0.5",
    ),
    "a bound that is a word": (
        value("{value: {above: much}}"),
        f"x.yaml:15: claims.0.expect.value.above: {NUMBER}, found 'much'",
    ),
    "a bound that is a truth": (
        value("{value: {above: on}}"),
        "x.yaml:15: claims.0.expect.value.above: expected a number, found true",
    ),
    "a claim about no measure": (
        claim("says: a, value: {measure: acuracy}, expect: {value: {above: 0}}"),
        "x.yaml:15: claims.0.value.measure: no measure 'acuracy' in any cell of this spec\n"
        "hint: did you mean accuracy? (known: accuracy)",
    ),
    "a claim about no coordinate": (
        claim("says: a, value: {measure: accuracy, at: {pgd.eps: 0}}, expect: {value: {above: 0}}"),
        "x.yaml:15: claims.0.value.at.pgd.eps: no coordinate 'pgd.eps'\n"
        "hint: coordinates: attack, dataset, defence, measure, model",
    ),
    "a claim about two places": (
        claim(
            "says: a, value: {measure: accuracy, at: {model: [linear]}}, expect: {value: {above: "
            "0}}"
        ),
        "x.yaml:15: claims.0.value.at.model: expected text or a number or a whole number or true "
        "or false, "
        "found ['linear']\nhint: write linear alone",
    ),
    "an unknown reduction": (
        claim(
            "says: a, value: {measure: accuracy, over: {pgd.eps: aera}}, expect: {value: {above: "
            "0}}"
        ),
        "x.yaml:15: claims.0.value.over.pgd.eps: "
        "expected mean, median, area, least, greatest, magnitude or {{quantile: 0.9}}, "
        "found 'aera'\n"
        "hint: did you mean area? (known: area, greatest, least, magnitude, mean, median)",
    ),
    "a misspelt operation": (
        claim("says: a, value: {diference: [{measure: accuracy}, 1]}, expect: {value: {below: 1}}"),
        "x.yaml:15: claims.0.value.diference: unknown key 'diference'\n"
        "hint: did you mean difference? (known: across, along, at, correlation, difference, "
        "dominance, greatest, greatest_step, least, least_step, over, ratio, sum)",
    ),
    "an extreme above 0": (
        claim(
            "says: a, value: {measure: accuracy, over: {pgd.eps: greatest}}, expect: {value: "
            "{above: 0}}"
        ),
        "x.yaml:15: claims.0.expect: chance alone puts the greatest of several noisy numbers "
        "above 0\nhint: give a margin, like above: 0.02, or compare a fixed pair",
    ),
    "alternatives that overlap": (
        claim(
            "says: a, value: {measure: accuracy}, one_of: [{says: b, expect: {value: {above: "
            "0.5}}}, {says: c, expect: {value: {below: 0.6}}}]"
        ),
        "x.yaml:15: claims.0.one_of.1.expect: 'b' and 'c' expect the same number, and both allow "
        "0.5 to 0.6\nhint: exclusive alternatives need ranges that do not overlap",
    ),
    "a comparison with nothing": (
        claim(
            "says: a, compare: {measure: accuracy, of: {model: linear}}, expect: {difference: "
            "{above: 0}}"
        ),
        "x.yaml:15: claims.0.compare.to: is missing",
    ),
    "a claim that is a sentence": (
        BASE + "claims:\n  - accuracy falls\n",
        "x.yaml:15: claims.0: expected keys with values, found 'accuracy falls'",
    ),
    "a layout of no measure": (
        BASE + "report:\n  - {of: acuracy}\n",
        "x.yaml:15: report.0.of: no measure 'acuracy' in any cell of this spec\n"
        "hint: did you mean accuracy? (known: accuracy)",
    ),
    "an unknown figure": (
        BASE + "report:\n  - {of: accuracy, figure: bar}\n",
        "x.yaml:15: report.0.figure: "
        "expected 'profile', 'beside', 'band', 'matrix', 'images', 'regions', 'heatmap', 'plane' "
        "or 'none', "
        "found 'bar'",
    ),
}


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What `invspec validate` says of a bad spec, after `error: `."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["validate", *arguments])
    captured = capsys.readouterr()
    assert (ended.value.code, captured.out) == (2, "")
    assert captured.err.startswith("error: ")
    return captured.err.removeprefix("error: ").removesuffix("\n")


def test_the_base_of_the_bad_specs_is_good(capsys: pytest.CaptureFixture[str]) -> None:
    Path("x.yaml").write_text(BASE + "checks: none\n")
    with pytest.raises(SystemExit) as ended:
        cli.main(["validate", "x.yaml"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == "x.yaml: 1 cell, 3 tasks, 0 claims\n"


@pytest.mark.parametrize(("written", "message"), BAD.values(), ids=BAD)
def test_a_bad_spec_is_refused_with_this_message(
    written: str | bytes, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("x.yaml").write_bytes(written.encode() if isinstance(written, str) else written)
    assert said(capsys, "x.yaml") == filled(message)


SETTINGS = {
    "attacks.pgd.eps": "--set: expected a.b=value, found 'attacks.pgd.eps'\n"
    "hint: for example attacks.pgd.steps=10",
    "=3": "--set: expected a.b=value, found '=3'\nhint: for example attacks.pgd.steps=10",
    "attacks.pdg.eps=3": "--set: the spec has no attacks.pdg\nhint: did you mean pgd? (known: pgd)",
    "seeds.0=3": "--set: the spec has no seeds\n"
    "hint: known: attacks, datasets, defences, measures, models, scales, title, train",
    "train.1=3": "--set: the spec has no train.1\nhint: it is a list of length 1, indexed from 0",
    "train.x=3": "--set: the spec has no train.x\nhint: it is a list of length 1, indexed from 0",
    "train.-1=3": "--set: the spec has no train.-1\nhint: it is a list of length 1, indexed from 0",
    "title.a=3": "--set: title.a: expected keys in title, found a single value",
    "attacks.3=4": f"--set: attacks.3: {LABEL} '3'",
    "3=4": "--set: 3: unknown key '3'\nhint: known: {keys}",
    "attacks.pgd.eps=-1": "--set: attacks.pgd.eps: expected at least 0, found -1",
    "attacks.pgd.epz=1": "--set: attacks.pgd.epz: PGD has no such parameter\n"
    "hint: did you mean eps? (PGD takes: {PGD})",
    "attacks.pgd.eps=[1": "--set: not YAML: did not find expected ',' or ']'\n"
    "hint: is a bracket left open above?",
    "title=a: b: c": "--set: not YAML: mapping values are not allowed in this context",
    "title=": "--set: title: expected text, found nothing",
    "title=!!python/name:os.system x": "--set: the tag !!python/name:os.system is not allowed\n"
    f"{PLAIN}",
    "title=\udcff": "--set: not UTF-8 text: invalid character at position 0",
    f"{'9' * 5000}=1": f"--set: {'9' * 5000}: unknown key '{'9' * 5000}'\nhint: known: {{keys}}",
}


@pytest.mark.parametrize(
    ("setting", "message"), SETTINGS.items(), ids=[setting[:20] for setting in SETTINGS]
)
def test_a_bad_setting_is_refused_with_this_message(
    setting: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("x.yaml").write_text(BASE + "scales: {}\n")
    assert said(capsys, "x.yaml", "--set", setting) == filled(message)


SCALES = {
    "lap": "--scale: x.yaml has no scale 'lap'\nhint: did you mean laptop? (known: broken, laptop)",
    "laptop": "x.yaml:16: attacks.pgd.qq: PGD has no such parameter\nhint: PGD takes: {PGD}",
    "broken": "x.yaml:17: the spec has no attacks.pdg\nhint: did you mean pgd? (known: pgd)",
}


@pytest.mark.parametrize(("scale", "message"), SCALES.items(), ids=SCALES)
def test_a_bad_scale_is_refused_with_this_message(
    scale: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    scales = "scales:\n  laptop:\n    attacks.pgd.qq: 3\n  broken: {attacks.pdg.eps: 1}\n"
    Path("x.yaml").write_text(BASE + scales)
    assert said(capsys, "x.yaml", "--scale", scale) == filled(message)


def test_a_file_that_is_nearly_there_is_pointed_at(capsys: pytest.CaptureFixture[str]) -> None:
    Path("kamath.yaml").write_text(BASE)
    assert said(capsys, "kamth.yaml").endswith("hint: did you mean kamath.yaml?")


def test_files_that_cannot_be_read_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    Path("folder.yaml").mkdir()
    with Path("large.yaml").open("wb") as file:
        file.truncate(100 << 20)
    assert (
        said(capsys, "none.yaml")
        == "none.yaml: cannot be read: No such file or directory\nhint: expected a YAML file"
    )
    assert (
        said(capsys, "folder.yaml")
        == "folder.yaml: cannot be read: Is a directory\nhint: expected a YAML file"
    )
    assert (
        said(capsys, "large.yaml") == "large.yaml: expected at most 1,048,576 bytes, found more\n"
        "hint: a spec is a short YAML file"
    )
    assert (
        said(capsys, "/dev/zero") == "/dev/zero: expected at most 1,048,576 bytes, found more\n"
        "hint: a spec is a short YAML file"
    )
    assert (
        said(capsys, "a" * 5000 + ".yaml")
        == f"{'a' * 5000}.yaml: cannot be read: File name too long\nhint: expected a YAML file"
    )


def test_a_spec_that_does_not_ship_is_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "quickstrt").startswith(
        "no spec is named 'quickstrt'\nhint: did you mean quickstart?"
    )


def test_a_registry_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    Path("x.yaml").write_text(BASE)
    message = "--registry: no folder nowhere\nhint: expected a folder with <kind>/<name>.yaml cards"
    assert said(capsys, "x.yaml", "--registry", "nowhere") == message


def test_the_limits_in_these_messages_are_those_of_the_reader() -> None:
    limits = (document.MAX_BYTES, reader.MAX_DEPTH, reader.MAX_VALUES)
    assert limits == (1_048_576, 32, 50_000)


def test_every_mistake_is_printed_with_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A spec is checked in two rounds: its keys and methods, and what must fit each other."""
    text = f"{attack('{eps: -1, stepz: 3}')}seeds: [a]\nreports: []\n"
    Path("x.yaml").write_text(text)
    lines = [line for line in said(capsys, "x.yaml").split("\n") if not line.startswith("hint")]
    mistakes = [line.removeprefix("error: ").split(": ")[1] for line in lines]
    assert sorted(mistakes) == ["attacks.pgd.eps", "attacks.pgd.stepz", "reports", "seeds.0"]
    Path("x.yaml").write_text(attack("{eps: -1, stepz: 3}").replace("linear: {}", "linaer: {}"))
    lines = [line for line in said(capsys, "x.yaml").split("\n") if not line.startswith("hint")]
    assert [line.removeprefix("error: ").split(": ")[1] for line in lines] == [
        "models.linaer",
        "attacks.pgd.eps",
        "attacks.pgd.stepz",
    ]
    wrong = "claims:\n  - {says: a, value: {measure: acc}, expect: {value: {above: 0}}}\n"
    wrong += "report:\n  - {of: accuracy, rows: [modle], columns: defense}\n"
    Path("x.yaml").write_text(with_(attacks="  pgd: {use: nspgd}") + wrong)
    lines = [line for line in said(capsys, "x.yaml").split("\n") if not line.startswith("hint")]
    assert [line.removeprefix("error: ").split(": ")[1] for line in lines] == [
        "claims.0.value.measure",
        "report.0.rows.0",
        "report.0.columns",
        "attacks.pgd",
    ]


def test_all_specs_and_scales_are_checked_and_equal_mistakes_printed_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    scales = "scales:\n  laptop: {attacks.pgd.qq: 3}\n"
    Path("x.yaml").write_text(BASE + scales)
    Path("y.yaml").write_text(BASE.replace("dataset: fake", "dataset: mnist"))
    with pytest.raises(SystemExit) as ended:
        cli.main(["validate", "x.yaml", "y.yaml"])
    assert ended.value.code == 2
    errors = [line for line in capsys.readouterr().err.split("\n") if line.startswith("error")]
    assert [error.split(": ")[2] for error in errors] == ["attacks.pgd.qq", "train.0.dataset"]


def test_at_most_fifty_mistakes_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    Path("x.yaml").write_text(BASE + f"seeds: [{', '.join(['a'] * 1000)}]\n")
    lines = said(capsys, "x.yaml").split("\n")
    assert len(lines) == 51
    assert lines[-1] == "error: found more than 50 problems; the first 50 are shown"
