"""Content types, charsets and Accept."""

import pytest

from rerank_engine.errors import MalformedBody, NotAcceptable, UnsupportedMediaType
from rerank_engine.service.media import MediaType, negotiate, parse_content_type

LINES = MediaType("application/jsonlines")


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, MediaType("application/json", "utf-8")),
        ("", MediaType("application/json", "utf-8")),
        ("application/json", MediaType("application/json", "utf-8")),
        ("application/json; charset=utf-8", MediaType("application/json", "utf-8")),
        ("Application/JSON;Charset=UTF-8", MediaType("application/json", "utf-8")),
        ('application/json; charset="utf8"', MediaType("application/json", "utf-8")),
        ("application/json; charset=us-ascii", MediaType("application/json", "ascii")),
        ("application/json; charset=latin1", MediaType("application/json", "iso8859-1")),
        ("application/json; charset=windows-1252", MediaType("application/json", "cp1252")),
        ("application/json; charset=utf-16", MediaType("application/json", "utf-16")),
        ("application/json; profile=x", MediaType("application/json", "utf-8")),
        ("application/jsonlines", MediaType("application/jsonlines", "utf-8")),
        ("application/x-ndjson;charset=utf-8", MediaType("application/x-ndjson", "utf-8")),
        ("application/jsonl", MediaType("application/jsonl", "utf-8")),
    ],
)
def test_reads(header: str | None, expected: MediaType) -> None:
    """JSON and JSON Lines are read under all their names, whatever the case, with any common charset."""
    actual = parse_content_type(header)

    assert expected == actual


@pytest.mark.parametrize(
    "header",
    [
        "text/tab-separated-values",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/octet-stream",
        "application/json; charset=klingon",
        "application/json; charset=punycode",
        "application/json; charset=hex",
        "application/json; charset=a\x00b",
        "json",
        ";;;",
    ],
)
def test_refuses(header: str) -> None:
    """Other types, unknown charsets and codecs that are not charsets are a 415."""
    with pytest.raises(UnsupportedMediaType):
        parse_content_type(header)


@pytest.mark.parametrize(
    ("accept", "request_type", "expected"),
    [
        (None, MediaType(), "application/json"),
        ("", MediaType(), "application/json"),
        ("*/*", MediaType(), "application/json"),
        ("*", MediaType(), "application/json"),
        ("application/*", MediaType(), "application/json"),
        ("application/json", MediaType(), "application/json"),
        ("application/json; charset=utf-8", MediaType(), "application/json"),
        ("application/jsonlines", MediaType(), "application/jsonlines"),
        ("text/csv, application/json;q=0.5", MediaType(), "application/json"),
        ("application/json;q=0.1, application/x-ndjson;q=0.9", MediaType(), "application/x-ndjson"),
        ("*/*;q=0.1, application/json;q=0", MediaType(), "application/jsonlines"),
        ("application/json;q=banana, */*", MediaType(), "application/json"),
        (None, MediaType("text/csv"), "application/jsonlines"),
        ("application/json", MediaType("text/csv"), "application/jsonlines"),
        ("application/x-ndjson", MediaType("text/csv"), "application/x-ndjson"),
        (None, LINES, "application/jsonlines"),
        ("*/*", LINES, "application/jsonlines"),
        ("application/json", LINES, "application/jsonlines"),
        ("application/x-ndjson", LINES, "application/x-ndjson"),
        ("*/*", MediaType("application/x-ndjson"), "application/x-ndjson"),
    ],
)
def test_labels_the_answer(accept: str | None, request_type: MediaType, expected: str) -> None:
    """The best type that Accept allows labels the answer; lines stay lines under `Accept: application/json`."""
    actual = negotiate(accept, request_type)

    assert expected == actual


@pytest.mark.parametrize(
    "accept", ["text/csv", "text/*", "application/json;q=0", "application/xml, image/*", "nonsense"]
)
def test_cannot_label(accept: str) -> None:
    """An Accept that allows neither JSON nor JSON Lines is a 406."""
    with pytest.raises(NotAcceptable):
        negotiate(accept, MediaType())


@pytest.mark.parametrize(
    ("codec", "data", "expected"),
    [
        ("utf-8", b"\xef\xbb\xbf{}", "{}"),
        ("utf-8", bytearray("grün".encode()), "grün"),
        ("utf-8", "\ufeff{}", "{}"),
        ("iso8859-1", "grün".encode("latin-1"), "grün"),
        ("utf-16", "grün".encode("utf-16"), "grün"),
    ],
)
def test_decodes(codec: str, data: bytes | bytearray | str, expected: str) -> None:
    """Bytes, bytearrays and text become text without a byte order mark."""
    actual = MediaType("application/json", codec).decode(data)

    assert expected == actual


@pytest.mark.parametrize("data", [b"\xff", b"\x1f\x8b\x08\x00", "grün".encode("latin-1")])
def test_cannot_decode(data: bytes) -> None:
    """Bytes that are not of the charset are a malformed body, not a crash."""
    with pytest.raises(MalformedBody):
        MediaType().decode(data)
