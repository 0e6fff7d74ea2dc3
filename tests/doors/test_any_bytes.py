"""Bytes, headers and settings that nobody meant: an answer, never a crash, and as many lines out as in."""

import json
from collections.abc import Callable
from typing import Any, TypeVar

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from rerank_engine.errors import RequestError, RerankError, SettingsError
from rerank_engine.hosting import Hosting
from rerank_engine.service.media import READABLE, negotiate, parse_content_type
from rerank_engine.service.service import Service
from rerank_engine.settings import PREFIX, Settings, knobs

T = TypeVar("T")
E = TypeVar("E", bound=RerankError)
QUIET = settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
PIECES = [
    '{"query":',
    '"q"',
    ',"documents":',
    '["a"]',
    "}",
    "{",
    "[",
    "]",
    ",",
    "\n",
    "\r\n",
    "null",
    "1e999",
    "\\ud800",
]
nearly_json = st.lists(st.sampled_from(PIECES), max_size=12).map("".join).map(str.encode)
bodies = st.binary(max_size=80) | nearly_json
parts = st.sampled_from(
    [*READABLE, "*/*", "text/html", ";", "=", ",", '"', "charset", "q", "utf-8", "utf-16", "0.5", " "]
)
OTHER_FORMATS = (
    b"\x1f\x8b",
    b"\x28\xb5\x2f\xfd",
    b"PK\x03\x04",
    b"BZh",
    b"\xfd7zXZ",
    b"\xff\xfe",
    b"\xfe\xff",
    b"\0\0\xfe\xff",
)
LINE_PIECES = [
    b'{"query": "q", "documents": ["a"]}',
    b'\xef\xbb\xbf{"query": "q", "documents": ["a\xe2\x80\xa8b"]}\r',
    b'{"query": "q", "documents": ["a"]}\r{"query": "q", "documents": ["a"]}',
    b'07,q,["a"],1',
    b"{",
    b'"query": "q", "documents": ["a"]',
    b"}",
    b"",
    b"\x00",
    b"\xff",
    b"\x1f\x8b\x08",
    b"null",
]
headers = st.none() | st.text(max_size=30) | st.lists(parts, max_size=6).map("".join)


@QUIET
@given(body=bodies, content_type=headers, accept=headers, attributes=headers, batch=st.booleans())
def test_any_request(
    engine: Any, body: bytes, content_type: str | None, accept: str | None, attributes: str | None, batch: bool
) -> None:
    """The answer is JSON with a status of the caller's fault, or 200; the echoed attributes are fit for a header."""
    service = Service(engine, Settings(cache_entries=3), hosting=Hosting(batch=batch))

    reply = service.handle(body, content_type, accept, attributes)

    assert reply.status in (200, 400, 406, 413, 415, 422)
    for line in reply.body.split(b"\n"):
        json.loads(line)
    assert all(value.isascii() and value.isprintable() for value in reply.headers.values())


@QUIET
@given(lines=st.lists(bodies.filter(lambda line: b"\n" not in line), min_size=1, max_size=6), end=st.booleans())
def test_any_lines(engine: Any, lines: list[bytes], end: bool) -> None:
    """One line out for each line in, in both kinds of hosting; or a refusal of lines that cannot be told apart."""
    body = b"\n".join(lines) + b"\n" * end
    assume(not body.startswith(OTHER_FORMATS))
    split = body.split(b"\n")
    expected = len(split) - 1 if len(split) > 1 and not split[-1] else len(split)

    for batch in (False, True):
        reply = Service(engine, Settings(), hosting=Hosting(batch=batch)).handle(body, "application/jsonlines")

        apart = (
            all(map(is_json, filter(bytes.strip, lines))) or not batch
        )  # JSON over the lines of a batch job is refused
        if reply.status == 200 or (apart and b"\r" not in body):
            assert (200, expected) == (reply.status, len(reply.body.split(b"\n")))
        else:
            assert 400 == reply.status


@QUIET
@given(content_type=headers, accept=headers)
def test_any_headers(content_type: str | None, accept: str | None) -> None:
    """A header is understood, or refused with a reason."""
    label, refusal = outcome(lambda: negotiate(accept, parse_content_type(content_type)), RequestError)

    assert (label in READABLE) if refusal is None else refusal.status in (406, 415)


@QUIET
@given(
    env=st.dictionaries(
        st.sampled_from([knob.env for knob in knobs()]) | st.text(max_size=4).map(PREFIX.__add__),
        st.text(max_size=8) | st.integers().map(str) | st.floats().map(str) | st.sampled_from(["true", "cpu", "0"]),
        max_size=4,
    )
)
def test_any_environment(env: dict[str, str]) -> None:
    """Settings are read, and come out of their own environment again, or refused by name."""
    found, refusal = outcome(lambda: Settings.from_env(env), SettingsError)

    assert found is None or found == Settings.from_env(found.to_env())
    assert refusal is None or any(name in refusal.message for name in env)


@QUIET
@given(lines=st.lists(st.sampled_from(LINE_PIECES), min_size=1, max_size=6), kind=st.sampled_from(READABLE))
def test_any_payload_of_a_batch_job(engine: Any, lines: list[bytes], kind: str) -> None:
    """Whatever a batch job's lines are called: as many out as in, or no 2xx."""
    reply = Service(engine, Settings(), hosting=Hosting(batch=True)).handle(b"\n".join(lines) + b"\n", kind)

    assert (200, len(lines)) == (reply.status, len(reply.body.split(b"\n"))) or reply.status == 400


def is_json(text: bytes) -> bool:
    try:
        json.loads(text.decode())
    except (ValueError, RecursionError):
        return False
    return True


def outcome(work: Callable[[], T], kind: type[E]) -> tuple[T | None, E | None]:
    """What `work` returned, or the error of this kind that it raised."""
    try:
        return work(), None
    except kind as error:
        return None, error
