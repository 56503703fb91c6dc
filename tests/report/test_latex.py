import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from report_toys import CLAIMS, outcomes

from invspec.cli import session
from invspec.report import contents, latex
from invspec.report.figures import draw, groups
from invspec.report.pages import render


def test_latex_escapes_texts_of_users(toy):
    text = latex.text(contents.report(*toy))
    assert r"{[}bold{]}100 \% of \textless{}b\textgreater{}it" in text
    assert r"at \$x\_1\$" in text
    assert r"rotations.max\_degrees (degrees)" in text


def test_letters_of_mathematics_are_macros():
    text = "ε ≤ λ, Λ × ℓ"  # noqa: RUF001  # as papers have them
    assert latex.escape(text) == r"$\varepsilon$ $\leq$ $\lambda$, $\Lambda$ $\times$ $\ell$"


def test_latex_tables_have_as_many_cells_as_columns(toy):
    tables = re.findall(
        r"\\begin\{tabular\}\{([lr]+)\}(.*?)\\end", latex.text(contents.report(*toy)), re.DOTALL
    )
    assert len(tables) == 2
    for columns, body in tables:
        plain = [
            line for line in body.splitlines() if line.endswith(r"\\") and "multicolumn" not in line
        ]
        assert {len(line.split(" & ")) for line in plain} == {len(columns)}


def test_every_table_is_a_float_with_a_label_of_its_own(toy, planned, toy_store):
    report = contents.report(*toy)
    pieces = latex.pieces(report)
    assert list(pieces) == ["claims", "accuracy", "robustness"]
    for name, text in pieces.items():
        assert rf"\label{{tab:toy-{name}}}" in text
        assert text in latex.text(report)
    layouts = (
        CLAIMS
        + "report:\n"
        + "".join(
            f"  - {{of: robustness, at: {{model: {model}}}}}\n" for model in ("linear", "lenet")
        )
    )
    plan = planned(layouts)
    twice = latex.pieces(contents.report(plan, toy_store(plan, outcomes)))
    assert list(twice) == ["claims", "robustness", "robustness-2"]


needs_latex = pytest.mark.skipif(
    shutil.which("pdflatex") is None, reason="pdflatex is not installed"
)


def compiled(folder, body, options=""):
    """Compile a paper twice and return what LaTeX says of the second time."""
    packages = r"\usepackage{booktabs,graphicx}"
    (folder / "paper.tex").write_text(
        rf"\documentclass{options}{{article}}{packages}\begin{{document}}{body}\end{{document}}"
    )
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    runs = [subprocess.run(command, cwd=folder, capture_output=True, text=True) for _ in range(2)]
    assert [run.returncode for run in runs] == [0, 0], runs[-1].stdout
    assert (folder / "paper.pdf").exists()
    return runs[-1].stdout


@needs_latex
def test_latex_compiles(toy, tmp_path):
    report = contents.report(*toy)
    for name, text in latex.pieces(report).items():
        (tmp_path / f"{name}.tex").write_text(text)
    inputs = "".join(
        rf"\input{{{name}}} See Table~\ref{{tab:toy-{name}}}." for name in latex.pieces(report)
    )
    assert "undefined" not in compiled(tmp_path, inputs)


@needs_latex
@pytest.mark.parametrize(("width", "options"), [(3.25, "[twocolumn]"), (6.75, "")])
def test_tables_and_figures_fit_one_column_and_two(toy, tmp_path, capsys, width, options):
    plan, store = toy
    session.show(plan, store, "latex", tmp_path, width=width)
    written = capsys.readouterr().out.split()
    floats = [Path(name).stem for name in written if name.endswith(".tex")][1:]
    assert "toy-figure-robustness" in floats
    assert "toy-robustness" in floats
    where = f"% in another folder: \\graphicspath{{{{{tmp_path}/}}}}\n"
    for name in floats:
        assert (tmp_path / f"{name}.tex").read_text().startswith(where) == ("figure" in name)
    said = compiled(tmp_path, "".join(rf"\input{{{name}}}" for name in floats), options)
    assert "Overfull" not in said
    # the whole report in one file does, too
    assert "Overfull" not in compiled(tmp_path, r"\input{toy}", options)


WIDE = CLAIMS.replace("[0, 0.1, 0.2]", "[0, 0.05, 0.1, 0.15, 0.2]") + "report: [{of: LAYOUT}]\n"
LAYOUTS = {
    "a narrow table": ("accuracy", "table"),
    "five values across": ("robustness", "table*"),
    "a long heading": ("robustness, columns: none, names: {pgd.eps: NAME}", "table*"),
}


@pytest.mark.parametrize("case", LAYOUTS)
def test_a_wide_table_has_the_width_of_the_page(planned, toy_store, case):
    layout, environment = LAYOUTS[case]
    plan = planned(WIDE.replace("LAYOUT", layout).replace("NAME", "radius of the ball " * 3))
    (table,) = latex.tables(contents.report(plan, toy_store(plan, outcomes)))
    assert table.startswith(rf"\begin{{{environment}}}" + "\n")
    assert table.endswith(rf"\end{{{environment}}}")


@needs_latex
@pytest.mark.parametrize("options", ["[twocolumn]", ""])
def test_a_wide_table_fits_one_column_and_two(planned, toy_store, tmp_path, options):
    plan = planned(WIDE.replace("LAYOUT", "robustness"))
    (table,) = latex.tables(contents.report(plan, toy_store(plan, outcomes)))
    assert "Overfull" not in compiled(tmp_path, table, options)


def test_a_caption_has_space_below_it(toy):
    for piece in latex.pieces(contents.report(*toy)).values():
        assert piece.index(r"\setlength{\belowcaptionskip}{6pt}") < piece.index(r"\caption{")


def test_captions_explain_dots_where_there_are_some(toy, planned, toy_store):
    dot = r"$\cdot$ is a number that is not computed yet"
    assert [dot in text for text in latex.pieces(contents.report(*toy)).values()] == [True] * 3
    plan = planned(CLAIMS)
    whole = contents.report(plan, toy_store(plan, lambda coords: np.arange(100) < 50))
    assert [dot in text for text in latex.pieces(whole).values()] == [False] * 3


def test_the_caption_of_claims_leaves_out_what_to_expect_uncorrected(toy):
    report = contents.report(*toy)
    claims = latex.pieces(report)["claims"]
    assert r"Verdicts are corrected for 2 claims (Holm)" in claims
    assert "to be expected" not in claims
    assert "to be expected" in render.text(report)


def test_columns_of_claims_that_are_empty_are_left_out(planned, toy_store):
    def headings(claims):
        plan = planned(claims)
        report = contents.report(plan, toy_store(plan, outcomes))
        (row,) = re.findall(r"\\toprule\n *(.*) \\\\\n", latex.pieces(report)["claims"])
        return row.split(" & ")

    unpublished = headings(re.sub(r"^ +(source|published):.*\n", "", CLAIMS, flags=re.M))
    assert [name for name in headings(CLAIMS) if name not in unpublished] == ["source", "published"]


def test_figures_of_a_paper_are_as_wide_as_asked_and_have_no_title(toy):
    report = contents.report(*toy)
    for _, tables in groups.named(report.tables):
        for width in (3.25, 6.75):
            figure = draw.draw(tables, framed=False, width=width)
            assert figure.get_figwidth() == width
            assert figure.get_suptitle() == ""
        assert draw.pdf(tables, 3.25) == draw.pdf(tables, 3.25)


def test_a_percent_sign_in_a_title_does_not_end_the_line():
    assert latex.escape("50 %\n#1\x07\\x") == r"50 \% \#1\textbackslash{}x"
