"""Metamers for a model that sees pixels 0 to 2 and an oracle that sees pixels 3 to 5."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from columns import filled
from pair_examples import FirstPixels, of_pairs
from shown import Shown, shown
from torch import Tensor

from invspec.data import Examples
from invspec.errors import InvspecError
from invspec.measures.metamer_label import MetamerLabel, MetamerPathLabel, OracleMeasure
from invspec.registry.methods import make

MODEL = FirstPixels(3)
Y = torch.tensor([0, 1, 2, 0])
#       image 3 is of class 0, which the model says, and looks like class 1
IMAGES = torch.eye(3)[torch.tensor([[0, 0], [1, 1], [2, 2], [0, 1]])].view(4, 1, 1, 6)
PAIRS = [
    (0, 1),
    (0, 2),
    (1, 2),
    (2, 3),
    (3, 2),
]  # the last two have an end that the oracle misreads
SEEN = [1, 0, 0, 2, 2]  # as what each metamer looks: target, source, neither; source, target


def oracle(x: Tensor) -> Tensor:
    """Class 1 weighs twice, so that clipping what is above 1 may favour it."""
    return x.flatten(1)[:, 3:] * torch.tensor([1.0, 2.0, 1.0])


def metamers(model_says: list[int], looks: list[int]) -> Tensor:
    return torch.eye(3)[torch.tensor([model_says, looks])].transpose(0, 1).reshape(-1, 1, 1, 6)


def examples(x_adv: Tensor | None = None, path: Tensor | None = None) -> Examples:
    x_adv = metamers([int(Y[source]) for source, _ in PAIRS], SEEN) if x_adv is None else x_adv
    found = of_pairs(MODEL, IMAGES, Y, PAIRS, x_adv, path)
    judged = {**vars(found.judged), "prediction_adv": MODEL(x_adv).argmax(1)}
    return replace(found, judged=filled(judged), oracle=oracle)


def rows(of: Examples | None = None, **fields: object) -> dict[str, Shown]:
    score = MetamerLabel.model_validate(fields).score(MODEL, of or examples())
    return {str(row.where["quantity"]): row for row in shown(score)}


def values(of: Examples | None = None, **fields: object) -> dict[str, float]:
    return {name: row.value for name, row in rows(of, **fields).items()}


# ─ metamers ───────────────────────────────────────────────────────────────────────────────────


def test_metamers_show_the_class_of_their_nuisance_their_logits_or_another() -> None:
    found = values()
    assert [found[name] for name in ("nuisance", "logits", "other")] == pytest.approx([1 / 3] * 3)
    assert rows()["nuisance"].n == 2  # sources of readable pairs


def test_among_all_counts_all_pairs() -> None:
    found = values(among="all")
    assert [found[name] for name in ("nuisance", "logits", "other")] == pytest.approx(
        [2 / 5, 2 / 5, 1 / 5]
    )


def test_the_oracles_own_accuracy_is_over_all_pairs() -> None:
    for among in ("readable", "all"):
        found = values(among=among)
        assert (found["readable"], found["oracle_accuracy"]) == pytest.approx((3 / 5, 4 / 5))


def test_the_three_shares_add_up_to_1() -> None:
    for row in rows().values():
        assert 0 <= row.low <= row.value <= row.high <= 1
    assert sum(values()[name] for name in ("nuisance", "logits", "other")) == pytest.approx(1)


def test_the_oracle_sees_clipped_pixels_unless_clip_is_false() -> None:
    bright = metamers([0, 0, 1, 2, 0], SEEN)
    bright[:, 0, 0, 3:] = torch.tensor([3.0, 1.0, 0.0])  # 3 against 2; clipped, 1 against 2
    assert values(examples(bright))["nuisance"] == pytest.approx(
        1 / 3
    )  # class 1, of the first pair's target
    assert values(examples(bright), clip=False)["logits"] == pytest.approx(
        2 / 3
    )  # class 0, of the first two's source


def test_the_model_keeps_its_label_for_the_metamer_which_clipping_may_change() -> None:
    assert (values()["model_keeps"], values()["model_keeps_shown"]) == (1, 1)
    dim = metamers([0, 0, 1, 2, 0], SEEN)
    dim[2, 0, 0, :3] = torch.tensor([-2.0, -1.0, -2.0])  # class 1; clipped, all alike
    found, bare = values(examples(dim)), values(examples(dim), clip=False)
    assert (found["model_keeps"], found["model_keeps_shown"]) == pytest.approx((1, 2 / 3))
    assert (bare["model_keeps"], bare["model_keeps_shown"]) == (1, 1)


def test_an_oracle_that_labels_no_pair_correctly_is_refused() -> None:
    blind = replace(examples(), oracle=lambda x: oracle(x).roll(1, dims=1))
    with pytest.raises(InvspecError, match="correctly in none of 5 pairs") as problem:
        values(blind)
    assert "among: all" in problem.value.hint
    assert values(blind, among="all")["oracle_accuracy"] == 0


@pytest.mark.parametrize("name", ["metamer_label", "metamer_path_label"])
def test_a_smoke_run_needs_no_trained_oracle(name: str) -> None:
    measure = make("measure", name, {})
    assert isinstance(measure, OracleMeasure)
    assert (measure.among, measure.smoke().among) == ("readable", "all")


# ─ on the way ─────────────────────────────────────────────────────────────────────────────────

#               at t = 0, 1/2 and 1, as what each image looks
ON_THE_WAY = [[0, 1, 1], [0, 0, 2], [1, 0, 2], [2, 2, 0], [1, 1, 2]]


def path_rows(
    on_the_way: list[list[int]] = ON_THE_WAY, **fields: object
) -> dict[tuple[str, float], Shown]:
    steps = torch.stack(
        [metamers([0] * 5, list(looks)) for looks in zip(*on_the_way, strict=True)], dim=1
    )
    score = MetamerPathLabel.model_validate(fields).score(MODEL, examples(steps[:, -1], steps))
    return {(str(row.where["quantity"]), float(row.where["t"])): row for row in shown(score)}


def test_each_vertex_of_the_path_has_its_shares() -> None:
    found = {where: row.value for where, row in path_rows().items()}
    expected = {("logits", 0.0): 1, ("logits", 0.5): 1 / 3, ("logits", 1.0): 0}
    expected |= {("nuisance", 0.0): 0, ("nuisance", 0.5): 1 / 3, ("nuisance", 1.0): 1}
    expected |= {("logits_so_far", t): share for t, share in ((0.0, 1), (0.5, 1 / 3), (1.0, 0))}
    assert found == pytest.approx(expected)
    assert path_rows()["logits", 0.5].n == 2


def test_a_path_that_left_the_class_of_its_logits_and_returned_did_not_keep_it() -> None:
    found = path_rows([[0, 2, 0], *ON_THE_WAY[1:]])
    assert found["logits", 1.0].value == pytest.approx(1 / 3)
    assert found["logits_so_far", 1.0].value == 0


def test_among_all_counts_all_paths() -> None:
    assert path_rows(among="all")["logits", 0.0].value == pytest.approx(4 / 5)


def test_ten_steps_have_t_in_tenths() -> None:
    path = IMAGES[[source for source, _ in PAIRS]].unsqueeze(1).expand(-1, 11, -1, -1, -1)
    score = MetamerPathLabel().score(MODEL, examples(path[:, -1], path))
    assert sorted({row.where["t"] for row in shown(score)}) == [k / 10 for k in range(11)]


def test_an_attack_that_kept_no_path_is_refused() -> None:
    with pytest.raises(InvspecError, match="kept no path"):
        MetamerPathLabel().score(MODEL, examples())
