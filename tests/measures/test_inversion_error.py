"""Errors of inversion that one can count."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from columns import filled
from pair_examples import of_pairs
from shown import shown
from torch import Tensor, nn

from invspec.data import Examples, TensorSplit
from invspec.errors import InvspecError
from invspec.measures.inversion_error import InversionError
from invspec.models.firevnet import FiRevNet


class Drifting(nn.Module):
    """decode(encode(x)) adds 2 ** -20, and 2 ** -3 to the first pixel if it is bright."""

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        flat = x.flatten(1)
        return flat[:, :2], flat[:, 2:]

    def encode_with_log_det(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return *self.encode(x), torch.zeros(len(x))

    def decode(self, semantic: Tensor, nuisance: Tensor) -> Tensor:
        flat = torch.cat([semantic, nuisance], dim=1) + 2.0**-20
        flat[:, 0] += (flat[:, 0] > 0.75) / 8
        return flat.view(-1, 1, 2, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.encode(x)[0]


def examples(x: Tensor) -> Examples:
    return Examples(
        TensorSplit(x, torch.zeros(len(x)).long()),
        filled({"index": torch.arange(len(x))}),
        {"x_adv": x},
    )


def values(model: nn.Module, of: Examples, **fields: tuple[str, ...]) -> dict[str, float]:
    return {
        str(row.where["quantity"]): row.value
        for row in shown(InversionError(**fields).score(model, of))
    }


def test_the_largest_pixel_of_each_image_is_averaged_and_the_worst_image_named() -> None:
    x = torch.full((4, 1, 2, 2), 0.5)
    x[0, 0, 0, 0] = 1.0
    found = values(Drifting(), examples(x))
    drift = 2.0**-20
    for precision in ("float64", "float32"):
        assert found[precision] == pytest.approx(drift + 1 / 32)
        assert found[f"largest_{precision}"] == pytest.approx(drift + 1 / 8)
    assert (found["bfloat16"], found["largest_bfloat16"]) == (
        1 / 32,
        1 / 8,
    )  # 0.5 + 2 ** -20 is 0.5 there


def test_pixels_are_rounded_before_the_error_counts() -> None:
    assert values(Drifting(), examples(torch.full((2, 1, 2, 2), 0.3)))["largest_bfloat16"] < 1e-3


def test_pairs_of_the_same_source_count_once() -> None:
    x = torch.full((3, 1, 2, 2), 0.5)
    x[0, 0, 0, 0] = 1.0
    paired = of_pairs(Drifting(), x, torch.tensor([0, 1, 1]), [(0, 1), (0, 2), (1, 0)], x)
    rows = shown(InversionError(precisions=("float32",)).score(Drifting(), paired))
    assert [row.n for row in rows] == [2, 2]
    assert rows[1].value == pytest.approx(0.125, rel=1e-4)


def test_errors_grow_as_precision_falls() -> None:
    torch.manual_seed(0)
    x = torch.rand(4, 1, 16, 16)
    net = FiRevNet(stages=2, blocks=2, width=6).build((1, 16, 16), 4)
    net.train()(x)
    found = values(net.eval().requires_grad_(False), examples(x))
    assert found["float64"] < 1e-12 < found["float32"] < 1e-4 < found["bfloat16"] < 1
    assert net(x).dtype == torch.float32


def test_decoding_that_overflows_is_refused_with_its_precision() -> None:
    class Bursting(Drifting):
        def decode(self, semantic: Tensor, nuisance: Tensor) -> Tensor:
            return super().decode(semantic, nuisance) * torch.tensor(
                torch.inf, dtype=semantic.dtype
            )

    with pytest.raises(
        InvspecError, match="decoding overflows in float32 for 3 of 3 images"
    ) as caught:
        values(Bursting(), examples(torch.rand(3, 1, 2, 2)), precisions=("float32",))
    assert "remove float32 from precisions" in caught.value.hint


def test_only_the_listed_precisions_are_computed() -> None:
    found = values(Drifting(), replace(examples(torch.rand(2, 1, 2, 2))), precisions=("float64",))
    assert list(found) == ["float64", "largest_float64"]
