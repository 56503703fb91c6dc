"""When a fit is made again, and when it is found."""

from __future__ import annotations

import torch
from channels import Turned, channel

from invspec.data import TensorSplit
from invspec.measures.nuisance_information import NuisanceInformation
from invspec.scoring import fits
from invspec.scoring.codes import Encoded
from invspec.scoring.fits import Fits, Fitted, fitted_once


def codes(first: float = 0.0) -> TensorSplit:
    x = torch.zeros(3, 2, 1, 1)
    x[0, 0] = first
    return TensorSplit(x, torch.arange(3))


def test_a_fit_to_equal_codes_by_an_equal_recipe_is_made_once() -> None:
    made, known = list[str](), Fits(capacity=2)

    def fit(name: str) -> Fitted:
        made.append(name)
        return Fitted({}, 0.0)

    for name, split, recipe in (
        ("first", codes(), "a"),
        ("the same", codes(), "a"),
        ("other codes", codes(1.0), "a"),
        ("another recipe", codes(), "b"),
        ("forgotten", codes(), "a"),
    ):
        known.of(split, recipe, lambda name=name: fit(name))
    assert made == ["first", "other codes", "another recipe", "forgotten"]


def test_other_labels_are_other_examples() -> None:
    one = codes()
    assert fits.digest("a", one.pixels, one.y) != fits.digest("a", one.pixels, one.y.flip(0))


def test_two_measures_of_a_net_share_a_fit_and_get_the_bits_of_their_own(monkeypatch) -> None:
    measure, train = NuisanceInformation(hidden=8, epochs=1), channel(0.0, 0.1, seed=1, n=60)
    monkeypatch.setattr(fits, "FITS", Fits())
    own = measure.fit(Turned(), train, "nuisance")
    shared = measure.fit(Turned(), train, "nuisance")
    monkeypatch.setattr(fits, "FITS", Fits())
    again = measure.fit(Turned(), train, "nuisance")
    assert len(fits.FITS._fitted) == 1
    for name, weight in own.net.state_dict().items():
        assert torch.equal(weight, shared.net.state_dict()[name])
        assert torch.equal(weight, again.net.state_dict()[name])
    assert own.held_out_loss == shared.held_out_loss == again.held_out_loss


def test_codes_beyond_memory_are_fitted_each_time() -> None:
    streamed = Encoded(codes(), lambda x: x)
    assert fitted_once(streamed, "only here", lambda: Fitted({}, 1.0)).held_out_loss == 1
    assert fitted_once(streamed, "only here", lambda: Fitted({}, 2.0)).held_out_loss == 2
