"""Layers without a network inside: actnorm, the DCT, 1 x 1 matrices and squeezes."""

from __future__ import annotations

import math

import pytest
import torch
from flow_toys import random_maps

from invspec.flows.layers import (
    DCT,
    ActNorm,
    ChannelReversal,
    Flatten,
    Invertible1x1,
    Rescale,
    Squeeze,
    squeezed,
)


def test_only_the_first_training_batch_initialises_actnorm() -> None:
    layer, x = ActNorm(4).double(), 5 + 3 * random_maps()
    assert layer.eval()(x)[0].equal(x)
    y, log_det = layer.train()(x)
    deviation, mean = torch.std_mean(y, dim=(0, 2, 3), correction=0)
    torch.testing.assert_close(mean, torch.zeros_like(mean), rtol=0, atol=1e-6)
    torch.testing.assert_close(deviation, torch.ones_like(mean), rtol=0, atol=1e-6)
    torch.testing.assert_close(log_det, 16 * layer.log_scale.sum().expand(3))
    before = layer.bias.clone()
    layer(2 * x)
    assert layer.bias.equal(before)


def test_a_loaded_actnorm_is_not_initialised_again() -> None:
    layer, x = ActNorm(4), random_maps().float()
    layer(x)
    again = ActNorm(4)
    again.load_state_dict(layer.state_dict())
    other = 7 + 2 * x
    assert again.train()(other)[0].equal(layer(other)[0])
    assert again.initialised


def test_frequency_0_of_the_dct_is_the_mean_times_the_root_of_the_pixels() -> None:
    x = random_maps(2, 4, 6)
    torch.testing.assert_close(DCT()(x)[0][:, :, 0, 0], x.mean((2, 3)) * math.sqrt(24))


def test_an_invertible_1x1_starts_orthogonal() -> None:
    weight = Invertible1x1(12).weight
    torch.testing.assert_close(weight @ weight.T, torch.eye(12), rtol=0, atol=1e-5)
    assert Invertible1x1(12)(torch.randn(2, 12, 2, 2))[1].abs().max() < 1e-4


def test_a_squeeze_puts_the_input_channels_outermost() -> None:
    x = torch.arange(8.0).view(1, 2, 2, 2)
    assert Squeeze()(x)[0].flatten().tolist() == list(range(8))


def test_a_squeeze_needs_an_even_height_and_width() -> None:
    assert (
        squeezed((3, 6, 4)) == (12, 3, 2) == tuple(Squeeze()(torch.zeros(1, 3, 6, 4))[0].shape[1:])
    )
    for shape in ((1, 7, 4), (1, 4, 7)):
        found = f"a squeeze needs an even height and width, found {shape[1]}x{shape[2]}"
        with pytest.raises(ValueError, match=found):
            squeezed(shape)


def test_a_reversal_swaps_the_halves() -> None:
    x = random_maps()
    y, log_det = ChannelReversal()(x)
    assert torch.equal(y[:, 0], x[:, 3])
    assert log_det.tolist() == [0.0] * 3


def test_a_rescaling_by_a_negative_factor_has_the_log_of_its_size() -> None:
    y, log_det = Rescale(-3, 1)(random_maps())
    torch.testing.assert_close(log_det, torch.full_like(log_det, 64 * math.log(3)))
    torch.testing.assert_close(Rescale(-3, 1).inverse(y)[0], (y[0] - 1) / -3)


def test_a_flat_map_gets_its_shape_back() -> None:
    x = random_maps(2, 3, 5)
    assert torch.equal(Flatten((2, 3, 5)).inverse(Flatten((2, 3, 5))(x)[0]), x)


def test_a_sketch_of_a_matrix_draws_no_random_numbers() -> None:
    before = torch.get_rng_state()
    with torch.device("meta"):
        assert Invertible1x1(3).weight.is_meta
    assert torch.equal(torch.get_rng_state(), before)
