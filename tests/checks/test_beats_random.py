from linear_toys import Lead, linear, spread
from masks import HONEST, MASKS, behind, finding


def test_the_gradient_of_a_linear_net_is_never_beaten() -> None:
    assert finding("beats_random", linear(), split=spread()).measured.value == 0
    assert finding("beats_random", behind(HONEST["plain"])).measured.value == 0


def test_a_net_that_depends_on_one_pixel_is_never_beaten() -> None:
    """About half of the random steps move that pixel as the gradient does."""
    model = Lead(lambda x: x[:, 0] - 0.5)
    assert finding("beats_random", model, split=spread()).measured.value == 0


def test_a_step_against_the_gradient_is_beaten() -> None:
    result = finding("beats_random", behind(MASKS["wrong sign"]))
    assert (result.status, result.measured.value) == ("fails", 1.0)
    assert "no better than the best of 16 random steps" in result.reason


def test_a_step_that_changes_nothing_is_no_win() -> None:
    model = Lead(lambda x: (x.mean(1) > 0.5) + 0 * x.mean(1) - 0.5)
    assert finding("beats_random", model, split=spread()).measured.value == 1
