import re
import shutil
import subprocess

import pytest
from report_toys import CLAIMS, outcomes

from invspec.report import contents, latex


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


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_latex_compiles(toy, tmp_path):
    report = contents.report(*toy)
    for name, text in latex.pieces(report).items():
        (tmp_path / f"{name}.tex").write_text(text)
    inputs = "".join(
        rf"\input{{{name}}} See Table~\ref{{tab:toy-{name}}}." for name in latex.pieces(report)
    )
    (tmp_path / "paper.tex").write_text(
        r"\documentclass{article}\usepackage{booktabs}\begin{document}" + inputs + r"\end{document}"
    )
    outputs: list[str] = []
    for _ in range(2):
        done = subprocess.run(
            ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout
        outputs.append(done.stdout)
    assert "undefined" not in outputs[-1]
    assert (tmp_path / "paper.pdf").exists()


def test_a_percent_sign_in_a_title_does_not_end_the_line():
    assert latex.escape("50 %\n#1\x07\\x") == r"50 \% \#1\textbackslash{}x"
