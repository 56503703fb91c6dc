import pytest
import torch
from linear_toys import greys
from torch import Tensor, nn

from invspec.data import Batch, Finding
from invspec.diagnostics.image_check import Chosen
from invspec.diagnostics.step_check import StepCheck
from invspec.kinds import Attack


class Steps(StepCheck):
    """Examines nothing: only its choice of a length is tested."""

    def examine_chosen(self, model: nn.Module, attack: Attack | None, chosen: Chosen) -> Finding:
        raise NotImplementedError


def batch() -> Batch:
    (images,) = greys(0.2, 0.4, 0.6).batches(3)
    return images


@pytest.mark.parametrize(
    ("failing", "tried", "best"),
    [
        ({1: 0, 8: 3}, [1], 0),
        ({1: 2, 8: 0, 9: 0}, [1, 8], 0),
        ({1: 3, 8: 1, 9: 2}, [1, 8, 9], 1),
    ],
    ids=["first", "second", "none"],
)
def test_lengths_are_tried_until_no_image_fails(
    failing: dict[int, int], tried: list[int], best: int
) -> None:
    lengths: list[int] = []

    def fails(length: float) -> Tensor:
        lengths.append(round(length * 255))
        return torch.arange(3) < failing[lengths[-1]]

    flags = Steps(levels=tuple(map(float, failing))).fewest(batch(), fails)
    assert lengths == tried
    assert int(flags.sum()) == best


def test_of_two_lengths_at_which_as_many_fail_the_first_counts() -> None:
    flags = Steps().fewest(batch(), lambda length: torch.arange(3) == round(length * 255) // 8)
    assert flags.tolist() == [True, False, False]
