"""Which numbers of the last map are read, and that nothing is lost."""

from __future__ import annotations

import pytest
import torch
from scipy import fft
from torch import Tensor

from invspec.flows.readouts import FirstReadout, SiteReadout

SHAPE = (5, 3, 4)


def maps() -> Tensor:
    return torch.randn(2, *SHAPE, dtype=torch.float64)


READOUTS = {
    "first": FirstReadout(SHAPE, 7),
    "all": FirstReadout(SHAPE, 60),
    "vector": FirstReadout((60,), 7),
    "corner": SiteReadout(SHAPE, 3, (0, 0), dct=False),
    "last corner": SiteReadout(SHAPE, 3, (2, 3), dct=False),
    "inside": SiteReadout(SHAPE, 5, (1, 2), dct=False),
    "mean": SiteReadout(SHAPE, 3, (0, 0), dct=True),
    "frequency": SiteReadout(SHAPE, 3, (2, 1), dct=True),
}


@pytest.mark.parametrize("name", READOUTS)
def test_a_readout_is_a_bijection(name: str) -> None:
    readout = READOUTS[name]
    x = maps().view(2, *readout.shape)
    semantic, unread = readout(x)
    assert semantic.shape == (2, readout.classes)
    assert unread.shape == (2, 60 - readout.classes)
    torch.testing.assert_close(readout.inverse(semantic, unread), x, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["first", "all", "vector", "corner", "inside"])
def test_every_number_is_in_one_of_the_parts(name: str) -> None:
    readout = READOUTS[name]
    x = torch.arange(60.0).view(1, *readout.shape)
    assert torch.cat(readout(x), dim=1).flatten().sort().values.tolist() == list(range(60))


def test_a_site_is_read_channel_by_channel() -> None:
    x = maps()
    semantic, unread = SiteReadout(SHAPE, 3, (1, 2), dct=False)(x)
    assert torch.equal(semantic, x[:, :3, 1, 2])
    assert torch.equal(unread[:, :2], x[:, 3:, 1, 2])


def test_a_frequency_is_that_of_scipy() -> None:
    x = maps()
    transformed = torch.from_numpy(fft.dctn(x.numpy(), axes=(2, 3), norm="ortho"))
    semantic, unread = SiteReadout(SHAPE, 3, (2, 1), dct=True)(x)
    torch.testing.assert_close(semantic, transformed[:, :3, 2, 1])
    torch.testing.assert_close(unread[:, :2], transformed[:, 3:, 2, 1])


def test_frequency_0_is_the_scaled_mean() -> None:
    x = maps()
    semantic, _ = SiteReadout(SHAPE, 5, (0, 0), dct=True)(x)
    torch.testing.assert_close(semantic, x.mean((2, 3)) * 12**0.5)


def test_the_first_numbers_are_those_of_the_flattened_map() -> None:
    x = maps()
    assert torch.equal(torch.cat(FirstReadout(SHAPE, 7)(x), dim=1), x.flatten(1))


def test_too_many_classes_and_a_site_outside_the_map_are_refused() -> None:
    with pytest.raises(ValueError, match="6 logits need at least 6 channels in the last map"):
        SiteReadout(SHAPE, 6, (0, 0), dct=False)
    for site in ((3, 0), (0, 4)):
        with pytest.raises(ValueError, match="is outside the last map, which is 3x4"):
            SiteReadout(SHAPE, 3, site, dct=False)
    with pytest.raises(ValueError, match=r"61 logits need at least 61 numbers .*, found 60"):
        FirstReadout(SHAPE, 61)
