import pytest
import torch
from linear_toys import Lead, linear, spread
from masks import BROKEN, HONEST, behind, finding


def test_noise_changes_logits_from_pass_to_pass() -> None:
    result = finding("repeatable", behind(BROKEN["noisy logits"][0]))
    assert (result.status, result.measured.value) == ("fails", 1.0)
    assert result.reason == "the logits of 64 of 64 images change from one pass to the next"


def test_statistics_of_the_batch_change_logits_with_the_other_images() -> None:
    result = finding("repeatable", behind(BROKEN["batch statistics"][0]))
    assert "change with the other images of a batch" in result.reason


@pytest.mark.parametrize("name", ["plain", "logits + 1e4", "T 1e6"])
def test_rounding_is_no_change(name: str) -> None:
    assert finding("repeatable", behind(HONEST[name])).measured.value == 0


@pytest.mark.parametrize(("size", "status"), [(1e-6, "passes"), (1e-2, "fails")])
def test_a_change_counts_relative_to_the_range_of_the_logits(size: float, status: str) -> None:
    passes = iter(range(100))
    model = Lead(lambda x: (x.mean(1) - 0.5) * 50 * (1 + size * (next(passes) % 2)))
    assert finding("repeatable", model, split=spread()).status == status


def test_a_net_that_draws_from_the_global_generator_is_found() -> None:
    model = Lead(lambda x: x.mean(1) - 0.5 + 0.1 * torch.rand(1))
    assert finding("repeatable", model, split=spread()).status == "fails"
    assert finding("repeatable", linear(), split=spread()).status == "passes"
