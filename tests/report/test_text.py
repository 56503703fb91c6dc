import io

import pytest
from rich.console import Console

from invspec.report import contents, text


def on_terminal(toy, width):
    written = io.StringIO()
    text.show(contents.report(*toy), console=Console(file=written, width=width, highlight=False))
    return written.getvalue()


def test_the_terminal_shows_verdicts_and_prints_texts_of_users_unchanged(toy):
    printed = on_terminal(toy, 100)
    assert "Claims: 1 holds for this net, 1 fails for this net, 1 missing" in printed
    assert "[bold]100 % of <b>it</b>[/bold] at $x_1$" in printed
    assert "Kamath, Deshpande, Subrahmanyam (2020)" in printed
    assert "4 of 24 cells are missing\n" in printed
    assert "· is a number that is not computed yet" in " ".join(printed.split())
    assert "invspec run toy.yaml" in printed


@pytest.mark.parametrize("width", [80, 100])
def test_no_line_is_wider_than_the_terminal_and_no_number_is_cut(toy, width):
    printed = on_terminal(toy, width)
    assert max(map(len, printed.splitlines())) <= width
    assert "…" not in printed


def test_wide_tables_continue_below(toy):
    narrow = on_terminal(toy, 40)
    assert narrow.count("max_degrees") > on_terminal(toy, 100).count("max_degrees")


def test_a_terminal_without_colour_gets_no_escapes(toy):
    assert "\x1b" not in on_terminal(toy, 80)
