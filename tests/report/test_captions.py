import numpy as np
import pytest
from report_toys import IMAGES, MATRIX, PICTURES, grid, matrix, with_bars

from invspec.report import build
from invspec.report.captions import caption, size
from invspec.report.figures import draw
from invspec.spec import overlay


def test_an_empty_store_gives_tables_of_dots(tables):
    for table in tables(by=lambda coords: None):
        assert table.numbers == []
        assert caption(table).startswith("nothing computed yet")


def test_the_remark_explains_confidences_and_bars(laid):
    (table,) = build.tables(*laid(IMAGES, with_bars))
    assert table.remark.startswith("below each image: the confidence in the true class")
    assert "; above each image: its logits" in table.remark
    measure = "{use: semantic_share, of: none, oracle: {model: linear, defence: normal}}"
    spec = PICTURES.replace("{use: accuracy, of: none}", measure)
    (table,) = build.tables(*laid(IMAGES, grid, spec=spec))
    assert table.remark.startswith("below each image: the oracle's confidence in the class of its")
    assert "logits" not in table.remark
    spec = PICTURES.replace("{use: accuracy, of: none}", "{use: image_grid, of: none}").replace(
        "{use: identity}", "{use: nspgd, sample: {targets: {per_class: 1}}}"
    )
    (table,) = build.tables(*laid(IMAGES, grid, spec=spec))
    assert table.remark.startswith("below each image: the confidence in the label of its source")


PAIRS = """
title: Toy
datasets: {digits: {}}
models: {lenet: {}}
defences: {standard: {}}
attacks: {walk: {use: nspgd, sample: {limit: 4, targets: {per_class: 1}}}}
measures:
  success:
    use: success_rate
    of: walk
    distance: {sweep: [lpips_alex, laidlaw_self]}
    max_distance: 0.25
  quantiles: {use: final_distance, of: walk, distance: l2}
train: [{dataset: digits, model: lenet, defence: standard}]
report:
  - {of: success, at: {success.distance: laidlaw_self}}
  - {of: success}
  - {of: quantiles}
"""


def test_captions_name_the_distance_and_its_threshold(planned, toy_store):
    plan = planned(PAIRS)
    own, both, l2 = build.tables(plan, toy_store(plan, lambda coords: np.arange(10) < 5))
    laidlaw = "LPIPS after Laidlaw (the model's own features, unsquared, unweighted)"
    assert f"{laidlaw}, max_distance 0.25" in caption(own)
    assert f"LPIPS (AlexNet, squared, weighted) or {laidlaw}, max_dist" in caption(both)
    assert "l2 distance (pixels in [0, 1])" in caption(l2)
    assert laidlaw in draw.draw([both]).get_supxlabel().replace("\n", " ")


def test_measures_without_a_distance_have_no_metric(laid):
    (table,) = build.tables(*laid(MATRIX, matrix))
    assert table.metric == ""


SEVERAL = """
title: Toy
datasets: {digits: {}}
models: {linear: {}, lenet: {}}
defences: {standard: {}}
attacks: {pgd: {}, apgd: {}, moved: {use: pgd, from: {model: lenet, defence: standard}}}
measures:
  worst: {use: accuracy, of: [pgd, apgd]}
  transfer: {use: fooling_rate, of: moved, correct_in_all: true}
  rejected: {use: robust_error, of: [pgd, apgd]}
train: [{dataset: digits, model: [linear, lenet], defence: standard}]
report: [{of: worst}, {of: transfer}, {of: rejected}]
"""


def test_titles_say_how_several_attacks_count_and_where_their_images_are_made(planned, toy_store):
    plan = planned(SEVERAL)
    worst, transfer, rejected = build.tables(
        plan, toy_store(plan, lambda coords: np.arange(10) < 5)
    )
    assert worst.title == "worst under the worst of pgd, apgd"
    assert transfer.title == "transfer under moved (made on lenet, standard)"
    assert rejected.title == "rejected under pgd and apgd"


def test_a_summary_says_that_only_images_count_that_all_nets_know(planned, toy_store):
    plan = planned(SEVERAL)
    worst, transfer, _ = build.tables(plan, toy_store(plan, lambda coords: np.arange(10) < 5))
    assert "all nets" not in worst.summary
    assert transfer.summary.endswith(
        "; only examples count that all nets under this measure classify correctly"
    )


CLEAN = """
title: Toy
datasets: {digits: {}}
models: {linear: {}}
defences: {standard: {}}
attacks:
  clean: {use: identity}
  turned: {use: identity, before: {use: random_rotation, max_degrees: 30}}
  pgd: {}
measures:
  accuracy: {of: clean}
  after_turn: {use: accuracy, of: turned}
  worst: {use: accuracy, of: [clean, pgd], union: true}
train: [{dataset: digits, model: linear, defence: standard}]
report: [{of: accuracy}, {of: after_turn}, {of: worst}, {of: [accuracy, worst]}]
"""


def test_without_an_attack_no_title_and_no_summary_speaks_of_one(planned, toy_store):
    plan = planned(CLEAN)
    clean, turned, worst, both = build.tables(plan, toy_store(plan, lambda c: np.arange(10) < 5))
    share = "share of examples classified correctly"
    assert (clean.title, clean.summary) == ("accuracy", share)
    assert turned.title == "after_turn under turned"
    assert worst.title == "worst under the worst of clean, pgd"
    assert turned.summary == worst.summary == f"{share} after the attack"
    assert both.summary == f"accuracy: {share}; {worst.title}: {share} after the attack"


def test_names_are_those_of_attacks_and_of_the_nets_that_make_them(planned, toy_store):
    names = "names: {pgd: PGD, moved: transferred, lenet: LeNet, transfer: fooled}\n"
    plan = planned(names + SEVERAL)
    worst, transfer, _ = build.tables(plan, toy_store(plan, lambda coords: np.arange(10) < 5))
    assert worst.title == "worst under the worst of PGD, apgd"
    assert transfer.title == "fooled under transferred (made on LeNet, standard)"


@pytest.mark.parametrize(
    ("scale", "settings", "words"),
    [
        (None, [], ""),
        ("laptop", [], "at scale laptop"),
        (None, ["attacks.none.use=fgsm"], "with --set"),
        ("laptop", ["attacks.none.use=fgsm"], "at scale laptop, with --set"),
    ],
)
def test_a_tally_names_how_a_report_departs_from_its_spec(tmp_path, scale, settings, words):
    path = tmp_path / "toy.yaml"
    path.write_text(SCALED)
    spec = overlay.load(path, scale, settings)
    assert size(spec) == words
    assert size(spec.smoke()) == "in a smoke run"


SCALED = """
title: Toy
datasets: {digits: {}}
models: {linear: {}}
defences: {standard: {}}
attacks: {none: {use: identity}}
measures: {accuracy: {of: none}}
train: [{dataset: digits, model: linear, defence: standard}]
scales: {laptop: {seeds: [0]}}
"""
