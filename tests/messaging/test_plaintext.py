"""The plain-text side derived from HTML."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from messaging.plaintext import MAX_TEXT, from_html


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("<p>Hello <b>Kim</b> &amp; Lee</p>\n<p>Bye</p>", "Hello Kim & Lee\n\nBye"),
        ("a<br>b<div>c</div>d", "a\nb\nc\nd"),
        ("<ul><li>one<li>two</ul>", "- one\n- two"),
        ('<a href="https://x.test/?a=1&amp;b=2">Go</a>', "Go (https://x.test/?a=1&b=2)"),
        ("<a href=https://x.test>https://x.test</a>", "https://x.test"),
        ("<a href='mailto:kim@x.test'>kim@x.test</a>", "kim@x.test"),
        ("<a href='javascript:alert(1)'>Go</a>", "Go"),
        ("<a href='https://x.test'><img alt='Shop'></a>", "Shop (https://x.test)"),
        ("<title>t</title><style>p{}</style><script>if (a<b) {}</script>x<!-- c -->y", "xy"),
        ("<div style='display: none'>preview</div>shown", "shown"),
        ("<table><tr><td>Tea<td>3 €<tr><td>Cup<td>7 €</table>", "Tea 3 €\nCup 7 €"),
        ("1 < 2 &lt; 3 &nbsp; <3", "1 < 2 < 3 <3"),
        ("<p>unclosed <a href='https://x.test'", "unclosed"),
        ("&#99999999999;&#0;&#xd800;", "\ufffd\ufffd\ufffd"),
        ("", ""),
    ],
)
def test_markup_becomes_text(source, text):
    assert from_html(source) == text


PIECES = (
    "<",
    ">",
    "/",
    "<a href=",
    "'",
    '"',
    "https://x",
    "<p>",
    "</a>",
    "<!--",
    "-->",
    "<style>",
    "&",
    "&#",
    ";",
    "x",
)


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                "<",
                ">",
                "/",
                "<a",
                "href=",
                "'",
                '"',
                "https://x",
                "<p>",
                "</a>",
                "<!--",
                "-->",
                "<style>",
                "&",
                "&#",
                ";",
                "x",
            ]
        )
    )
)
def test_any_markup_becomes_clean_text(pieces):
    assert "\n\n\n" not in from_html("".join(pieces))


HOSTILE = ["<", "<a ", "<!--", "<style>", "<a href='", "<a href=https://x.test>x", "&", "&#", "<br>", "<p>x</p>"]


@pytest.mark.parametrize("piece", HOSTILE)
def test_hostile_markup_takes_linear_time_and_bounded_room(piece):
    start = time.process_time()
    assert len(from_html(piece * (500_000 // len(piece)))) <= MAX_TEXT
    assert time.process_time() - start < 4


def test_a_character_reference_of_thousands_of_digits_is_harmless():
    assert from_html(f"&#{'9' * 5_000};").startswith("&#9")
