"""Codes of images, and the moments by which they are standardised."""

import torch
from channels import D, Turned, channel

from invspec.data import TensorSplit
from invspec.ops.draws import Stream
from invspec.scoring.codes import Encoded, code, in_memory, moments


def test_codes_are_a_split():
    split = channel(0.0, 0.0, seed=1, n=30).clean.take(torch.arange(5, 30))
    codes = Encoded(split, code(Turned(), "nuisance"))
    stored = in_memory(codes)
    assert len(codes) == len(stored) == 25
    assert torch.equal(codes.index, stored.index)
    assert torch.equal(codes.labels(), stored.labels())
    for batch, same in zip(
        codes.head(20).batches(8, Stream("a")), stored.head(20).batches(8, Stream("a")), strict=True
    ):
        torch.testing.assert_close(batch.x, same.x)
        assert batch.x.shape == (len(batch), D - 2, 1, 1)
        assert torch.equal(batch.index, same.index)
        assert torch.equal(batch.y, same.y)


def test_features_select_parts_of_the_code():
    model, x = Turned(), channel(0.0, 0.0, seed=1, n=3).clean.pixels
    semantic, nuisance = model.encode(x)
    parts = {
        features: code(model, features)(x).flatten(1)
        for features in ("semantic", "nuisance", "all", "pixels")
    }
    expected = {
        "semantic": semantic,
        "nuisance": nuisance,
        "all": torch.cat([semantic, nuisance], 1),
        "pixels": x.flatten(1),
    }
    torch.testing.assert_close(parts, expected)


def test_constant_dimensions_do_not_blow_up():
    z = (
        torch.randn(100, 3, generator=torch.Generator().manual_seed(0))
        * torch.tensor([2.0, 0.1, 1e-9])
        + 5
    )
    mean, scale = moments(TensorSplit(z[:, :, None, None], torch.zeros(100, dtype=torch.int64)))
    torch.testing.assert_close(mean, z.double().mean(0).float())
    torch.testing.assert_close(scale[:2], z[:, :2].double().std(0, correction=0).float())
    assert scale[2] == scale[0]
    still = torch.ones(10, 2, 1, 1)
    assert moments(TensorSplit(still, torch.zeros(10, dtype=torch.int64)))[1].tolist() == [1, 1]
