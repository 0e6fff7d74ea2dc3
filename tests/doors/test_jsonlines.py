"""Lines in, lines out."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rerank_engine.errors import MalformedBody
from rerank_engine.service import jsonlines
from rerank_engine.service.media import MediaType

LINES = MediaType("application/jsonlines")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", [""]),
        (b"\n", [""]),
        (b"\n\n", ["", ""]),
        (b"  ", ["  "]),
        (b"1", ["1"]),
        (b"1\n", ["1"]),
        (b"1\n2", ["1", "2"]),
        (b"1\n\n2\n", ["1", "", "2"]),
        (b"1\r\n2\r\n", ["1\r", "2\r"]),
        (b"\xef\xbb\xbf1\n2", ["1", "2"]),
        (b"1\n\xef\xbb\xbf2", ["1", "2"]),
        ("\ufeff1\n\ufeff2", ["1", "2"]),
        (b'"\x0c"\r\n2', ['"\x0c"\r', "2"]),
        (b"1\x00\n2", ["1\x00", "2"]),
        ("1\u2028x\n2\x0b\x85".encode(), ["1\u2028x", "2\x0b\x85"]),
        ("1\u2028x\n2", ["1\u2028x", "2"]),
        (bytearray(b"1\n2"), ["1", "2"]),
    ],
)
def test_splits(body: bytes | bytearray | str, expected: list[str]) -> None:
    """Only a line feed ends a line, one at the very end adds none, and a blank line counts."""
    actual = jsonlines.split(body, LINES)

    assert expected == actual


def test_wide_charsets_are_split_after_decoding() -> None:
    """In UTF-16 the byte 0x0A is no line's end (it is half of U+0A0A, too)."""
    actual = jsonlines.split("\u0a0a\n2".encode("utf-16"), MediaType("application/jsonlines", "utf-16"))

    assert ["\u0a0a", "2"] == actual


def test_bytes_that_are_no_text_cost_their_line_alone() -> None:
    """A line that is not UTF-8 stands as its error, the others are read."""
    first, second, third = jsonlines.split(b"1\n\xff\n3", LINES)

    assert ("1", "3") == (first, third)
    assert isinstance(second, MalformedBody)


MARKS = (
    b"\x1f\x8b",
    b"\x28\xb5\x2f\xfd",
    b"PK\x03\x04",
    b"BZh",
    b"\xfd7zXZ",
    b"\xff\xfe",
    b"\xfe\xff",
    b"\0\0\xfe\xff",
)


@given(st.lists(st.binary().filter(lambda line: b"\n" not in line), min_size=1), st.booleans())
def test_as_many_lines_out_as_in(lines: list[bytes], trailing_newline: bool) -> None:
    """Any bytes give as many records as there are lines, with or without a newline at the end."""
    body = b"\n".join(lines) + (b"\n" if trailing_newline else b"")
    assume(not body.startswith(MARKS))  # of other formats, which are refused as a whole
    ends_blank = not trailing_newline and len(lines) > 1 and lines[-1] == b""
    expected = len(lines) - (1 if ends_blank else 0)

    assert expected == len(jsonlines.split(body, LINES))


@pytest.mark.parametrize("mark", MARKS)
def test_other_formats_are_refused_as_a_whole(mark: bytes) -> None:
    """Compressed data and undeclared UTF-16 have line feeds by accident: no count of lines would be the records'."""
    with pytest.raises(MalformedBody, match=r"compressed|utf-"):
        jsonlines.split(mark + b"\n1\n2", LINES)


def test_declared_utf_16_is_no_other_format() -> None:
    """With its charset said, it is read."""
    assert ["1", "2"] == jsonlines.split("1\n2".encode("utf-16"), MediaType("application/jsonlines", "utf-16"))


def test_joins_without_a_newline_at_the_end() -> None:
    """AssembleWith=Line adds a newline after each response: one of our own would make blank lines."""
    actual = jsonlines.join([b"1", b"2"])

    assert actual == b"1\n2"
