"""How often the host waits for the device in one update: when a number falls, lower it here."""

from __future__ import annotations

import pytest
from pretend_examples import moved_on_the_device
from pretend_process import Child
from pretend_updates import CASES, per_update

from invspec.ops.geometry import Fill

MOST_SYNCS = {
    "standard training": 0,
    "rotation augmentation": 0,
    "LPIPS-CCAT": 0,
    "likelihood": 0,
    "PGD linf": 0,
    "PGD l2": 0,
    # which examples stop is asked after every step
    "NSPGD": 1,
    "DDN": 0,
    "FMN": 0,
    # which examples are misclassified, and leave, is asked after every step
    "DeepFool": 1,
    "FAB": 3,  # a walk to each of three other classes
    "APGD": 1,
}
# the order and the draws of a batch
MOST_COPIES = {
    "standard training": 1,
    "rotation augmentation": 2,
    "LPIPS-CCAT": 2,
    "likelihood": 2,
}


@pytest.mark.parametrize("case", CASES)
def test_an_update_waits_as_often_as_is_known(on_device: Child, case: str) -> None:
    syncs = on_device(per_update, case)["sync"]
    assert sum(syncs.values()) == MOST_SYNCS[case], syncs


@pytest.mark.parametrize("case", CASES)
def test_an_update_copies_from_the_host_as_often_as_is_known(on_device: Child, case: str) -> None:
    copies = on_device(per_update, case)["host_copy"]
    assert sum(copies.values()) == MOST_COPIES.get(case, 0), copies


@pytest.mark.parametrize("fill", ["zero", "reflect"])
@pytest.mark.parametrize("given_on", ["cpu", "pretend"])
def test_images_move_without_waiting_as_they_do_on_the_cpu(
    on_device: Child, given_on: str, fill: Fill
) -> None:
    assert on_device(moved_on_the_device, given_on, fill) == ([], 0)
