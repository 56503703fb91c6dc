import pytest
import torch
from masks import HONEST, Mask, behind, finding


@pytest.mark.parametrize("scale", [1, 50, 1e4])
def test_probabilities_are_named(scale: float) -> None:
    result = finding("logits", behind(lambda net, x: (scale * net(x)).softmax(1)))
    assert (result.status, result.measured.value) == ("fails", 1.0)
    assert result.hint.startswith("use logits, not probabilities")


@pytest.mark.parametrize(
    "mask",
    [HONEST["log-softmax"], lambda net, x: torch.sigmoid(net(x)), lambda net, x: net(x) / 1e6],
    ids=["log-softmax", "sigmoid", "small logits"],
)
def test_other_outputs_pass(mask: Mask) -> None:
    assert finding("logits", behind(mask)).status == "passes"


def test_a_few_rows_that_look_like_probabilities_do_not_matter() -> None:
    def mask(net: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
        rows = torch.arange(len(x))[:, None] < 5
        return torch.where(rows, net(x).softmax(1), net(x))

    assert finding("logits", behind(mask)).measured.value == 5 / 64
    assert finding("logits", behind(mask)).status == "passes"
