"""Plans of the toy specs with their stores."""

import numpy as np
import pytest
from report_toys import CLAIMS, PAIR, PICTURES, half, outcomes
from toy_specs import SWEEPS

from invspec.perform.runtime import Artifact
from invspec.report import build


@pytest.fixture
def tables(planned, toy_store):
    def built(text=SWEEPS, by=half):
        plan = planned(text)
        return build.tables(plan, toy_store(plan, by))

    return built


@pytest.fixture
def toy(planned, toy_store):
    plan = planned(CLAIMS)
    return plan, toy_store(plan, outcomes)


@pytest.fixture
def nothing(planned, toy_store):
    plan = planned(CLAIMS)
    return plan, toy_store(plan, lambda coords: None)


@pytest.fixture
def pair(planned, toy_store):
    plan = planned(CLAIMS + PAIR % "{rotations.max_degrees}")
    return build.tables(plan, toy_store(plan, outcomes))


@pytest.fixture
def laid(planned, toy_store):
    """Plan and store of a spec with one layout; keep(coords) are the tensors that a score keeps."""

    def built(
        layout, keep=lambda coords: {}, rows=lambda coords: np.arange(100) < 50, spec=PICTURES
    ):
        plan = planned(spec % layout)
        store = toy_store(plan, rows)
        for cell in plan.cells:
            score = store.scores[cell.goal]
            store.scores[cell.goal] = Artifact({**score.tensors, **keep(cell.coords)}, score.rows)
        return plan, store

    return built
