"""What every measure promises: numbers in their intervals, outcomes of examples that exist."""

import pytest
import torch
from measure_toys import MEASURES, N, inputs, score
from shown import shown

from invspec.data import ClassMatrix, ImageGrid, Matrix, Regions
from invspec.ops.types import REALS
from invspec.perform.score import Absent
from invspec.perform.selection import worst
from invspec.registry.methods import resolve
from invspec.spec.layouts import PICTURES


@pytest.fixture(autouse=True)
def _seeded():
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        yield


@pytest.mark.parametrize("name", MEASURES)
def test_every_row_lies_within_its_interval(name):
    rows = shown(score(name))
    assert rows
    for row in rows:
        assert row.low <= row.value <= row.high
        assert row.n >= 1


@pytest.mark.parametrize("name", MEASURES)
def test_every_number_is_within_the_range_that_its_measure_declares(name):
    scored = score(name)
    measure, *_ = inputs(name)
    for row, number in zip(scored.rows, shown(scored), strict=True):
        least, most = measure.range_of(str(row.where.get("quantity", "")))
        assert least <= number.value <= most
        if row.outcomes is not None and row.outcomes.range != REALS:
            assert row.outcomes.range == (least, most)


def test_only_measures_of_signed_quantities_declare_no_range():
    assert {name for name in MEASURES if inputs(name)[0].range_of() == REALS} == {
        "code_dependence",
        "largest_information",
        "null_step_exactness",
        "nuisance_information",
        "nuisance_information_spheres",
        "path_validity",
        "shifted_information",
        "theorem1",
    }


@pytest.mark.parametrize("name", MEASURES)
def test_rows_can_be_told_apart(name):
    rows = score(name).rows
    assert len({tuple(sorted(row.where.items())) for row in rows}) == len(rows)


@pytest.mark.parametrize("name", MEASURES)
def test_outcomes_belong_to_examples_and_those_of_a_mean_to_one_each(name):
    for row in score(name).rows:
        if row.outcomes is None:
            assert row.interval is not None
            continue
        index = row.outcomes.index
        assert index.dtype == torch.int64
        assert set(index.tolist()) <= set(range(7 + N))
        assert row.level is not None or len(index.unique()) == len(index)


@pytest.mark.parametrize("name", MEASURES)
def test_the_same_examples_give_the_same_score(name):
    torch.manual_seed(0)
    first = score(name)
    torch.manual_seed(0)
    assert score(name).rows == first.rows


@pytest.mark.parametrize("name", MEASURES)
def test_a_measure_names_the_figures_that_its_scores_can_be_drawn_as(name):
    tensors = score(name).tensors
    matrix, classes = Matrix.read(tensors), ClassMatrix.read(tensors)
    drawn = {
        "matrix": classes,
        "heatmap": matrix or classes,
        "images": ImageGrid.read(tensors),
        "regions": Regions.read(tensors),
    }
    named = resolve("measure", name).figures
    assert set(named) == {figure for figure, picture in drawn.items() if picture is not None}
    assert set(named) <= set(PICTURES)


READERS = [name for name in MEASURES if not resolve("measure", name).wants_model]


@pytest.mark.parametrize("name", READERS)
def test_a_measure_that_does_not_want_the_model_scores_without_one(name):
    torch.manual_seed(0)
    first = score(name, absent=Absent())
    torch.manual_seed(0)
    assert score(name).rows == first.rows


def test_measures_of_stored_outcomes_do_not_want_the_model():
    assert {"accuracy", "fooling_rate", "robust_error", "subspace_angle"} <= set(READERS)


WORST = [name for name in MEASURES if resolve("measure", name).has_worst_case()]


def test_these_measures_have_a_worst_case():
    assert {"accuracy", "fooling_rate", "top_k_error", "boundary_distance", "success_rate"} <= {
        *WORST
    }
    assert not {"robust_error", "image_grid", "brittleness", "path_validity"} & {*WORST}


@pytest.mark.parametrize("name", WORST)
def test_a_worst_case_ranks_every_result_and_can_be_scored(name):
    measure, model, of = inputs(name)
    assert measure.takes[1] == 1
    net = model if measure.wants_model else Absent()
    damage = measure.damage(net, of[0])
    assert damage.shape == of[0].judged.index.shape
    assert not damage.isnan().any()
    twice = [worst([attacked, attacked], [damage, damage]) for attacked in of]
    assert measure.score(net, *twice).rows == measure.score(net, *of).rows
