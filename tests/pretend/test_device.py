"""The pretend device costs and refuses what a CUDA device would."""

from __future__ import annotations

import pytest
import torch
from pretend_examples import (
    COPIES,
    LAUNCHES,
    REFUSED,
    SILENT,
    SYNCS,
    costs,
    shapes_after_squeezes,
    sites_of_a_gradient,
    tied_weights_stay_tied,
)
from pretend_process import Child
from torch.utils import backend_registration


def test_torch_still_has_the_private_function_that_makes_the_device() -> None:
    """Without it nothing in this folder runs; pretend_device.py says what to write instead."""
    assert hasattr(backend_registration, "_setup_privateuseone_for_python_backend")


def test_this_process_has_no_such_device() -> None:
    with pytest.raises(RuntimeError, match="pretend"):
        torch.device("pretend")


@pytest.mark.parametrize("name", SYNCS)
def test_the_host_waits_once(on_device: Child, name: str) -> None:
    assert on_device(costs, "sync", name)["sync"] == 1


@pytest.mark.parametrize("name", COPIES)
def test_numbers_of_the_host_are_copied_once_without_waiting(on_device: Child, name: str) -> None:
    counts = on_device(costs, "host_copy", name)
    assert (counts["sync"], counts["host_copy"]) == (0, 1)


@pytest.mark.parametrize("name", LAUNCHES)
def test_the_device_computes_without_the_host(on_device: Child, name: str) -> None:
    counts = on_device(costs, "launch", name)
    assert (counts["sync"], counts["host_copy"]) == (0, 0)
    assert counts["launch"] >= 1


@pytest.mark.parametrize("name", SILENT)
def test_views_and_allocations_cost_nothing(on_device: Child, name: str) -> None:
    assert not any(on_device(costs, "silent", name).values())


@pytest.mark.parametrize("name", REFUSED)
def test_what_cuda_refuses_is_refused(on_device: Child, name: str) -> None:
    with pytest.raises((RuntimeError, TypeError)):
        on_device(costs, "refused", name)


def test_events_of_a_backward_pass_belong_to_the_line_that_waits_for_it(on_device: Child) -> None:
    sites = on_device(sites_of_a_gradient)
    assert sites
    assert all(site.startswith("search/gradients.py:") for site in sites)


def test_shapes_change_in_place(on_device: Child) -> None:
    assert on_device(shapes_after_squeezes) == [(3, 4, 1)] * 3


def test_tied_weights_stay_tied(on_device: Child) -> None:
    assert on_device(tied_weights_stay_tied)
