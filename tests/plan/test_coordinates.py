import pytest

from invspec.plan import coordinates


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (8 / 255, "8/255"),
        (0.2, "0.2"),
        (60.0, "60"),
        (0, "0"),
        (True, "true"),
        (None, ""),
        ("gcnn", "gcnn"),
        (1e-9, "1e-09"),
    ],
)
def test_coordinates_are_printed_as_people_write_them(value, text):
    assert coordinates.shown(value) == text
