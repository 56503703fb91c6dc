import re
import shutil
import subprocess
from pathlib import Path

import pytest
from report_toys import CLAIMS, outcomes

from invspec.cli import session
from invspec.report import contents, latex
from invspec.report.figures import draw, groups


def test_latex_escapes_texts_of_users(toy):
    text = latex.text(contents.report(*toy))
    assert r"{[}bold{]}100 \% of \textless{}b\textgreater{}it" in text
    assert r"at \$x\_1\$" in text
    assert r"rotations.max\_degrees (degrees)" in text


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
    said = compiled(tmp_path, "".join(rf"\input{{{name}}}" for name in floats), options)
    assert "Overfull" not in said
    # the whole report in one file does, too
    assert "Overfull" not in compiled(tmp_path, r"\input{toy}", options)


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
