"""Documents as a person hands them over."""

import io
from pathlib import Path

import pytest

from rerank_ops.documents import gather
from rerank_ops.errors import NotFound, Refused, Usage


@pytest.mark.parametrize(
    ("name", "text", "documents"),
    [
        ("a.txt", "one\n\n  two \n", ["one", "  two "]),
        ("a.jsonl", '"one"\n{"text": "two", "id": 2}\n', ["one", {"text": "two", "id": 2}]),
        ("a.json", '["one", {"text": "two"}]', ["one", {"text": "two"}]),
    ],
)
def test_a_file_is_read_by_its_kind(tmp_path: Path, name: str, text: str, documents: list[object]) -> None:
    """Plain lines, JSON Lines, a JSON list; arguments come first."""
    (tmp_path / name).write_text(text, encoding="utf-8")

    assert ["zero", *documents] == gather(["zero"], str(tmp_path / name), io.StringIO())


@pytest.mark.parametrize(("text", "documents"), [("one\ntwo\n", ["one", "two"]), ('"one"\n', ["one"])])
def test_standard_input_is_json_when_it_looks_like_json(text: str, documents: list[str]) -> None:
    """`jq -c .text` and plain `cat` both work."""
    assert documents == gather([], "-", io.StringIO(text))


def test_what_cannot_be_read_is_named_by_line(tmp_path: Path) -> None:
    """File, line, reason."""
    (tmp_path / "a.jsonl").write_text('"fine"\n{"title": "no text"}\n', encoding="utf-8")
    with pytest.raises(Refused, match=r"a\.jsonl, document 2: neither"):
        gather([], str(tmp_path / "a.jsonl"), io.StringIO())
    (tmp_path / "b.jsonl").write_text("plain\n", encoding="utf-8")
    with pytest.raises(Refused, match=r"b\.jsonl, line 1: not JSON"):
        gather([], str(tmp_path / "b.jsonl"), io.StringIO())


def test_no_documents_is_an_error_with_a_tip() -> None:
    """Nothing to rank is said before anything is sent: wrong usage without a file, a failure where it is empty."""
    with pytest.raises(Usage, match="No documents"):
        gather([], None, io.StringIO())
    with pytest.raises(NotFound, match="No documents in standard input"):
        gather([], "-", io.StringIO("\n"))


def test_files_that_are_no_text_are_named(tmp_path: Path) -> None:
    """A folder, and bytes that are not UTF-8."""
    (tmp_path / "a.txt").write_bytes(b"fine\n\xff")
    with pytest.raises(NotFound, match="is a folder"):
        gather([], str(tmp_path), io.StringIO())
    with pytest.raises(Refused, match=r"a\.txt is not text in UTF-8: invalid start byte at byte 5"):
        gather([], str(tmp_path / "a.txt"), io.StringIO())
