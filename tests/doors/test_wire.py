"""JSON in and out."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rerank_engine import wire
from rerank_engine.errors import MalformedBody


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n\t ",
        "{",
        "{]",
        "{'a': 1}",
        '{"a": 1} {"b": 2}',
        "NaN",
        '{"a": NaN}',
        '{"a": Infinity}',
        '{"a": -Infinity}',
        '{"a": 1e999}',
        '{"a": "\x01"}',
        "[" * 100_000,
        '{"a":' * 100_000,
        "9" * 5000,
        "nul",
        "\x00",
    ],
)
def test_refuses(text: str) -> None:
    """What is not JSON, or cannot be held, is a malformed body."""
    with pytest.raises(MalformedBody):
        wire.loads(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": 1, "a": 2}', {"a": 2}),
        ("123456789012345678901234567890", 123456789012345678901234567890),
        ('"\\u0000"', "\x00"),
        ('"\\ud800"', "\ud800"),
        (" 1.5 ", 1.5),
    ],
)
def test_reads(text: str, expected: object) -> None:
    """Duplicate keys, huge integers, NUL and lone surrogates are read."""
    actual = wire.loads(text)

    assert expected == actual


@pytest.mark.parametrize(
    ("value", "expected"),
    [({"a": ["ü", "😀"]}, '{"a":["ü","😀"]}'.encode()), ({"a": "\ud800"}, b'{"a":"\\ud800"}'), ("a\nb", b'"a\\nb"')],
)
def test_writes(value: object, expected: bytes) -> None:
    """Values are one compact line of UTF-8; a lone surrogate, for which UTF-8 has no bytes, is an escape."""
    actual = wire.dumps(value)

    assert expected == actual


def test_deep_value_cannot_be_written() -> None:
    """An echoed value that is nested too deeply is the caller's fault, not a crash."""
    value: object = 1
    for _ in range(100_000):
        value = [value]

    with pytest.raises(MalformedBody):
        wire.dumps(value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(json_values)
def test_round_trip(value: object) -> None:
    """What is written is one line and reads back as it was."""
    written = wire.dumps(value)

    assert b"\n" not in written
    assert value == wire.loads(written.decode())


@given(st.text())
def test_any_text_is_json_or_an_error(text: str) -> None:
    """No text makes the reader fail in another way than by saying that it is malformed."""
    try:
        value = wire.loads(text)
    except MalformedBody:
        return

    assert json.loads(text) == value


@given(
    st.lists(st.text(max_size=80) | st.text(alphabet='"\\\n\r\t\x00\x1f\x7faé😀', min_size=60, max_size=90), max_size=4)
)
def test_echoes_are_written_as_the_encoder_writes_them(texts: list[str]) -> None:
    """Marked or not, the same bytes; and they are read back as they came."""
    plain = [{"text": text, "at": number} for number, text in enumerate(texts)]

    written = wire.dumps([wire.echo(one) for one in plain])

    assert wire.dumps(plain) == written
    assert plain == wire.loads(written.decode())


@pytest.mark.parametrize("text", ["\ud800" * 70, "a" * 70 + "\udfff", "é" * 70])
def test_echoes_with_lone_surrogates_are_escaped(text: str) -> None:
    """As any text without UTF-8 is, and the rest of the answer stays readable."""
    written = wire.dumps({"short": "\ud800", "long": wire.echo(text)})

    assert {"short": "\ud800", "long": text} == wire.loads(written.decode())
