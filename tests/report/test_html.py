from __future__ import annotations

from cupola_operator.report.html import Html, details, el, join, table


def test_text_and_attributes_are_escaped() -> None:
    made = el("p", "<b>&", title="\"'<>", class_="x", data_y=1, left_out=None)
    assert made == ('<p title="&quot;&#x27;&lt;&gt;" class="x" data-y="1">&lt;b&gt;&amp;</p>')


def test_markup_and_nothing_are_kept() -> None:
    assert el("p", el("b", "x"), None, 3) == "<p><b>x</b>3</p>"
    assert el("meta", charset="utf-8") == '<meta charset="utf-8">'
    assert isinstance(join(["a", Html("<br>")]), Html)


def test_markup_joined_with_text_is_text_again() -> None:
    assert el("p", f"{el('b', 'x')} y") == "<p>&lt;b&gt;x&lt;/b&gt; y</p>"


def test_the_first_cell_of_a_row_names_it() -> None:
    made = table(("A", "B"), [("x", "1")], sums=[("all", "1")], caption="C", numeric=(1,))
    assert '<caption>C</caption><thead><tr><th scope="col">A</th>' in made
    assert '<tbody><tr><th scope="row">x</th><td class="num">1</td></tr></tbody>' in made
    assert '<tfoot><tr><th scope="row">all</th>' in made


def test_details_are_hidden_unless_shown() -> None:
    assert details("s", "x") == "<details><summary>s</summary>x</details>"
    assert details("s", shown=True).startswith('<details open="">')
