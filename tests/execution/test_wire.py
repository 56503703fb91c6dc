"""Tasks survive the way to another machine, which refuses those that it would compute otherwise."""

import json

import pytest
from workbench import perturb, planned, registered, score, tiny, toys, train

from invspec.errors import InvspecError
from invspec.execution.wire import from_json, to_json
from invspec.kinds import Sample
from invspec.plan import planner
from invspec.spec import overlay
from invspec.tasks import key, needs


@pytest.mark.parametrize("name", ["quickstart", "nspgd_tables", "jacobsen_spheres", "lpips_ccat"])
def test_the_tasks_of_a_spec_are_read_back(name):
    tasks = planner.plan(overlay.load(overlay.find(name)).smoke()).tasks
    for task in tasks:
        copied = from_json(to_json(task))
        assert copied == task
        assert key(copied) == key(task)
        assert needs(copied) == needs(task)


SEVERAL = tiny(
    models={"linear": {}, "mlp": {}},
    attacks={"pgd": {}, "moved": {"use": "pgd", "from": {"model": "mlp", "defence": "standard"}}},
    measures={"worst": {"use": "accuracy", "of": ["pgd", "moved"], "correct_in_all": True}},
    train=[{"dataset": "fake", "model": ["linear", "mlp"], "defence": "standard"}],
)


def test_the_worst_of_an_attack_and_a_transfer_attack_is_read_back():
    for task in planned(SEVERAL).tasks:
        copied = from_json(to_json(task))
        assert copied == task
        assert key(copied) == key(task)
        assert needs(copied) == needs(task)


def test_users_methods_are_read_where_their_folder_is_registered():
    task = score(perturb(toys.Shift(by=0.5), sample=Sample(limit=3)))
    with registered():
        assert from_json(to_json(task)) == task
        text = to_json(task)
    with pytest.raises(InvspecError, match="no class toy_methods:Shift here") as caught:
        from_json(text)
    assert "--registry" in caught.value.hint


def test_a_task_with_another_key_is_refused_naming_both():
    body = json.loads(to_json(train()))
    body["key"] = "f" * 40
    with pytest.raises(InvspecError, match=f"{key(train())[:12]} here and ffffffffffff in the run"):
        from_json(json.dumps(body))


def test_a_changed_field_is_noticed_by_the_key():
    text = to_json(train()).replace('"seed": 0', '"seed": 1')
    with pytest.raises(InvspecError, match="in the run"):
        from_json(text)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("os:system", "no class os:system here"),
        ("subprocess:Popen", "no class subprocess:Popen here"),
        ("invspec.tasks:key", "invspec.tasks:key is not a method"),
        ("invspec.models.linear:Nonlinear", "no class invspec.models.linear:Nonlinear here"),
        ("invspec.nowhere:Linear", "no class invspec.nowhere:Linear here"),
    ],
)
def test_nothing_but_methods_is_built(name, message):
    body = json.loads(to_json(train()))
    body["task"]["fields"]["model"]["class"] = name
    with pytest.raises(InvspecError, match=message):
        from_json(json.dumps(body))


def test_a_whole_plan_of_toys_is_read_back():
    with registered():
        for task in planned(tiny(seeds=[0, 1])).tasks:
            assert from_json(to_json(task)) == task
