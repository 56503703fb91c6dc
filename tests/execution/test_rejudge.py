"""Forgeries whose digests were renewed are found, because what they say is computed again."""

import hashlib
import json
import shutil

import pytest
import torch
from registries import untouched
from safetensors.torch import load_file, save_file
from workbench import TOYS, call, planned, registered, tiny

from invspec.execution import disk
from invspec.execution.execute import execute
from invspec.execution.pools.local import LocalExecutor
from invspec.execution.rebuild import Rebuilder
from invspec.execution.rejudge import Judge
from invspec.execution.store import PAYLOAD, Store
from invspec.tasks import key, verb

SPEC = tiny(
    attacks={
        "identity": {},
        "pgd": {"eps": {"sweep": [0.05, 0.1]}, "norm": "linf", "steps": 2, "sample": {"limit": 16}},
        "toy": {"use": "shift", "by": 0.25},
    },
    measures={
        "accuracy": {"of": "identity"},
        "robust": {"use": "accuracy", "of": "pgd"},
        "fooled": {"use": "fooling_rate", "of": "pgd"},
        "toy": {"use": "accuracy", "of": "toy"},
    },
)


@pytest.fixture(scope="module")
def plan():
    with registered():
        yield planned(SPEC)


@pytest.fixture(scope="module")
def made(plan, tmp_path_factory):
    root = tmp_path_factory.mktemp("made")
    list(execute([cell.goal for cell in plan.cells], Store(root), LocalExecutor()))
    assert all(task in Store(root) for task in plan.tasks)
    return root


@pytest.fixture
def store(made, tmp_path):
    """A copy that may be forged."""
    shutil.copytree(made, tmp_path / "store")
    return Store(tmp_path / "store")


def judgements(store):
    judged = Judge(store, torch.device("cpu")).judged(list(store.folders()))
    return {judgement.key: judgement for judgement in judged}


def different(store):
    """The reasons of those that differ, by verb."""
    reasons = {}
    for judgement in judgements(store).values():
        if judgement.outcome == "differs":
            reasons.setdefault(judgement.kind, []).extend(judgement.reasons)
    return reasons


def task_of(plan, kind, test=lambda task: True):
    return next(task for task in plan.tasks if verb(task) == kind and test(task))


def seal(folder, inputs=None):
    """Renew the digests, as a forger would."""
    path = folder / "made.json"
    facts = json.loads(path.read_text())
    facts["sha256"] = {name: disk.sha256(folder / name) for name in facts["sha256"]}
    path.write_text(json.dumps({**facts, **({"inputs": inputs} if inputs else {})}))


def edit(store, task, change):
    """Change the tensors of an artifact, and renew its digests."""
    folder = store.folder(task)
    tensors = load_file(folder / PAYLOAD[verb(task)])
    change(tensors)
    save_file(tensors, folder / PAYLOAD[verb(task)])
    seal(folder)
    assert store.flaws(task) == []


def sealed_below(store, plan, source):
    """Renew the digest of a source in everything that was made from it."""
    for task in plan.tasks:
        facts = store.made(task)
        if key(source) in facts["inputs"]:
            seal(store.folder(task), {**facts["inputs"], key(source): store.digest(source)})


def inverted(tensors):
    values = tensors["row.0.values"]
    tensors["row.0.values"] = (values == 0).to(values.dtype)


def is_pgd(task):
    return type(task.attack).__name__ == "PGD"


def of_pgd(task):
    return is_pgd(task.of[0][0])


def is_robust(task):
    return verb(task) == "score" and type(task.measure).__name__ == "Accuracy" and of_pgd(task)


# ─ what is right ─


def test_an_honest_store_agrees_in_every_task(store, plan):
    outcomes = [judgement.outcome for judgement in judgements(store).values()]
    assert outcomes == ["agrees"] * len(plan.tasks)


def test_every_task_is_rebuilt_from_its_text(made, plan):
    rebuilder = Rebuilder(Store(made))
    for task in plan.tasks:
        assert rebuilder.task(verb(task), key(task)) == task


# ─ forged scores ─


def test_forged_outcomes_are_found(store, plan):
    score = task_of(plan, "score", of_pgd)
    edit(store, score, inverted)
    assert different(store)["score"] == ["row.0.values: 16 of 16 numbers differ"]


@pytest.mark.parametrize(
    ("name", "value"), [("level", 0.5), ("range", [0, 2]), ("where", {"at": 1}), ("index", 7)]
)
def test_a_forged_row_is_found(store, plan, name, value):
    folder = store.folder(task_of(plan, "score", of_pgd))
    rows = json.loads((folder / "rows.json").read_text())
    rows[0][name] = value
    (folder / "rows.json").write_text(json.dumps(rows))
    seal(folder)
    assert any(f"rows.json: 0: {name}" in reason for reason in different(store)["score"])


def test_a_row_that_is_added_is_found(store, plan):
    folder = store.folder(task_of(plan, "score"))
    rows = json.loads((folder / "rows.json").read_text())
    rows.append({"where": {}, "interval": {"value": 1.0, "low": 1.0, "high": 1.0, "n": 9}})
    (folder / "rows.json").write_text(json.dumps(rows))
    seal(folder)
    assert different(store)["score"] == ["rows.json: 2 entries stored, computed 1"]


# ─ forged attacks ─


@pytest.mark.parametrize("column", ["prediction_adv", "prediction", "y"])
def test_forged_labels_are_found(store, plan, column):
    attack = task_of(plan, "perturb", is_pgd)
    edit(store, attack, lambda tensors: tensors[column].copy_((tensors[column] + 1) % 3))
    assert any(column in reason for reason in different(store)["perturb"])


@pytest.mark.parametrize("column", ["confidence_adv", "linf", "l2"])
def test_forged_numbers_are_found(store, plan, column):
    edit(store, task_of(plan, "perturb", is_pgd), lambda tensors: tensors[column].mul_(0.5))
    reasons = different(store)["perturb"]
    assert any(reason.startswith(f"{column} differs of 16 of 16") for reason in reasons)


def test_the_last_bits_of_another_machine_are_no_forgery(store, plan):
    def rounded(tensors):
        for name in ("confidence", "confidence_adv", "l2"):
            tensors[name].mul_(1 + 3e-7)

    attack = task_of(plan, "perturb", is_pgd)
    edit(store, attack, rounded)
    sealed_below(store, plan, attack)
    assert different(store) == {}


def test_images_that_were_exchanged_are_found(store, plan):
    attack = task_of(plan, "perturb", is_pgd)

    def change(tensors):
        tensors["x_adv"].copy_(1 - tensors["x_adv"])

    edit(store, attack, change)
    reasons = different(store)
    assert any(reason.startswith("x_adv is farther than eps") for reason in reasons["perturb"])
    assert any("its input perturb" in reason for reason in reasons["score"])


def test_images_farther_than_eps_are_found_even_with_columns_to_match(store, plan):
    attack = task_of(plan, "perturb", is_pgd)

    def change(tensors):
        delta = torch.full_like(tensors["x_adv"], 1.0)
        tensors["x_adv"] = tensors["x_adv"] * 0 + delta

    edit(store, attack, change)
    sealed_below(store, plan, attack)
    assert any("farther than eps" in reason for reason in different(store)["perturb"])


@pytest.mark.parametrize("value", [float("nan"), 7.0])
def test_pixels_that_are_none_are_found(store, plan, value):
    attack = task_of(plan, "perturb", is_pgd)
    edit(store, attack, lambda tensors: tensors["x_adv"].fill_(value))
    reasons = different(store)["perturb"]
    assert any("pixels" in reason or "not finite" in reason for reason in reasons)


def test_examples_that_are_left_out_are_found(store, plan):
    def change(tensors):
        for name in list(tensors):
            tensors[name] = tensors[name][:9].clone()

    edit(store, task_of(plan, "perturb", is_pgd), change)
    assert "expected 16 examples, found [9]" in different(store)["perturb"]


def test_a_column_that_is_gone_is_found(store, plan):
    edit(store, task_of(plan, "perturb", is_pgd), lambda tensors: tensors.pop("x_adv"))
    assert any("cannot be computed again: KeyError" in r for r in different(store)["perturb"])


# ─ forged nets and texts ─


def exchanged(tensors):
    for name, weights in tensors.items():
        if weights.is_floating_point():
            tensors[name] = torch.randn_like(weights)


def test_another_net_is_found_by_what_was_made_from_it(store, plan):
    edit(store, task_of(plan, "train"), exchanged)
    reasons = different(store)
    assert all("its input train" in reason for reason in reasons["score"])
    assert any("its input train" in reason for reason in reasons["perturb"])


def test_another_net_is_found_by_its_predictions_where_all_digests_were_renewed(store, plan):
    train = task_of(plan, "train")
    edit(store, train, exchanged)
    sealed_below(store, plan, train)
    reasons = different(store)["perturb"]
    assert not any("its input" in reason for reason in reasons)
    assert any(reason.startswith("confidence") for reason in reasons)


def test_a_net_that_does_not_fit_or_is_not_finite_is_found(store, plan):
    train = task_of(plan, "train")
    edit(store, train, lambda tensors: next(iter(tensors.values())).fill_(float("nan")))
    assert any("is not finite" in reason for reason in different(store)["train"])
    edit(store, train, lambda tensors: tensors.clear() or tensors.update(w=torch.zeros(3)))
    assert "train" in different(store)


@pytest.mark.parametrize("kind", ["train", "perturb", "score"])
def test_an_edited_task_is_found(store, plan, kind):
    folder = store.folder(task_of(plan, kind))
    text = (folder / "task.json").read_text()
    (folder / "task.json").write_text(text.replace('"machinery": ', '"machinery": 1'))
    seal(folder)
    (reason,) = different(store)[kind]
    assert reason.startswith("task.json is the text of the key")


def test_an_artifact_under_another_key_is_found(store, plan):
    first, second = (task for task in plan.tasks if is_robust(task))
    shutil.rmtree(store.folder(second))
    shutil.copytree(store.folder(first), store.folder(second))
    judged = judgements(store)
    assert (judged[key(first)].outcome, judged[key(second)].outcome) == ("agrees", "differs")


# ─ what cannot be judged ─


def test_what_an_input_is_missing_for_is_not_judged(store, plan):
    shutil.rmtree(store.folder(task_of(plan, "train")))
    outcomes = {judgement.kind: judgement for judgement in judgements(store).values()}
    assert outcomes["perturb"].outcome == outcomes["score"].outcome == "not judged"
    assert "is not in the store" in outcomes["perturb"].reasons[0]


def test_what_another_version_made_is_not_judged(store, plan):
    folder = store.folder(task_of(plan, "perturb", is_pgd))
    text = (folder / "task.json").read_text().replace('"version": 1', '"version": 99')
    (folder / "task.json").write_text(text)
    target = store.at("perturb", hashlib.sha256(text.encode()).hexdigest()[:40])
    target.parent.mkdir(exist_ok=True)
    folder.rename(target)
    judgement = judgements(store)[target.name]
    assert judgement.outcome == "not judged"
    assert "a version has changed" in judgement.reasons[0]


# ─ the command ─


def test_the_command_names_what_differs_and_exits_with_1(store, plan, capsys):
    options = ("store", "verify", "--rejudge", "--store", store.root, "--registry", TOYS)
    assert call(*options) == 0
    agree = f"judged again: {len(plan.tasks)} agree, 0 differ, 0 not judged"
    assert capsys.readouterr().out.splitlines()[-1] == agree
    score = task_of(plan, "score", of_pgd)
    edit(store, score, inverted)
    assert call("store", "verify", "--store", store.root) == 0
    capsys.readouterr()
    assert call(*options) == 1
    printed = capsys.readouterr().out
    assert f"differs: score {key(score)}: row.0.values: 16 of 16 numbers differ" in printed
    assert f"judged again: {len(plan.tasks) - 1} agree, 1 differ, 0 not judged" in printed
    assert store.folder(score).is_dir()


def test_a_sample_takes_so_many_of_each_kind(store, capsys):
    assert call("store", "verify", "--rejudge", "--sample", 1, "--store", store.root) == 0
    assert "judged again: 3 agree, 0 differ" in capsys.readouterr().out


def test_a_sample_without_judging_is_refused(store, capsys):
    assert call("store", "verify", "--sample", 1, "--store", store.root) == 2
    assert capsys.readouterr().err == "error: --sample: needs --rejudge\n"


def test_own_classes_need_their_registry(store, capsys):
    with untouched(TOYS):
        assert call("store", "verify", "--rejudge", "--store", store.root) == 0
    printed = capsys.readouterr().out
    assert "not judged: 1 perturb: no card has the class toy_methods:Shift" in printed
    assert "0 differ, 2 not judged" in printed
