"""Tables of a report in Markdown."""

from invspec.report import contents, markdown
from invspec.report.format import NO_CELL


def test_a_section_has_title_numbers_and_caption(toy):
    accuracy, robustness = contents.report(*toy).tables
    text = markdown.section(robustness)
    assert text.startswith("### robustness under pgd\n\nshare of examples")
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert lines[0].endswith("pgd.eps (pixels in [0, 1]): 0.2 |")
    assert {line.count(" | ") for line in lines} == {lines[0].count(" | ")}
    assert len(lines) == 2 + len(robustness.lines)
    assert "| · |" in text
    assert text.endswith("only examples vary; · is a number that is not computed yet")
    assert NO_CELL not in markdown.section(accuracy)


def test_a_bar_in_a_label_does_not_end_a_cell():
    assert markdown.table(["a"], [["x|y"]]) == "| a |\n| --- |\n| x\\|y |"
