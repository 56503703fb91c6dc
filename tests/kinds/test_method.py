"""Identities of methods, and their cheap versions."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from invspec.attacks.pgd import PGD
from invspec.defences.adversarial_training import AdversarialTraining
from invspec.errors import InvspecError, SpecError
from invspec.kinds import Sample
from invspec.models.irevnet import IRevNet
from invspec.registry.cards import KINDS, Kind, names
from invspec.registry.methods import make, resolve


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
    other |= {"eot": 3}
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
    assert IRevNet(blocks=(6, 16)).smoke().blocks == (1, 1)


def test_sets_and_samples_have_a_plain_form_too() -> None:
    from invspec.kinds import plain

    assert plain(frozenset({"b", "a"})) == ["a", "b"]
    assert plain({1: (PGD, 2.0)[1], "x": Sample()}) == {
        "1": 2.0,
        "x": {"split": "test", "limit": None, "per_class": None, "targets": None},
    }
