import re

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


def test_a_percent_sign_in_a_title_does_not_end_the_line():
    assert latex.escape("50 %\n#1\x07\\x") == r"50 \% \#1\textbackslash{}x"
