"""Splitting, batching and assembling: by tables, by properties, and against AWS's own emulation."""

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rerank_local.data.errors import RecordTooLarge
from rerank_local.data.transform.records import Payload, assemble, batches, split_records

LINES = st.lists(st.text(st.characters(codec="ascii", exclude_characters="\r\n"), max_size=30), max_size=12)


def bodies(data: bytes, split: str | None, strategy: str, limit: int) -> list[bytes]:
    return [payload.body for payload in batches(split_records(data, split), strategy, limit)]


@pytest.mark.parametrize(
    ("data", "records"),
    [
        (b"", []),
        (b"a", [b"a"]),
        (b"a\n", [b"a\n"]),
        (b"a\nb", [b"a\n", b"b"]),
        (b"a\n\nb\n", [b"a\n", b"\n", b"b\n"]),
        (b"a\r\nb\rc", [b"a\n", b"b\n", b"c"]),
        (b"\xff\n\xe2\x80\xa8\n", [b"\xff\n", b"\xe2\x80\xa8\n"]),
    ],
)
def test_lines_keep_their_end_and_blank_lines_are_records(data: bytes, records: list[bytes]) -> None:
    """A line is a record with its newline; only newlines separate, whatever else a text library may call a line."""
    assert records == split_records(data, "Line")


def test_an_unsplit_file_is_one_record_untouched() -> None:
    """Without SplitType even line ends stay as they are."""
    assert [b"a\r\nb"] == split_records(b"a\r\nb", None) == split_records(b"a\r\nb", "None")


@pytest.mark.parametrize("split", ["RecordIO", "TFRecord", "line"])
def test_other_split_types_are_refused(split: str) -> None:
    """RecordIO and TFRecord are not done and say so."""
    with pytest.raises(ValueError, match=split):
        split_records(b"", split)


def test_a_batch_holds_as_many_records_as_fit() -> None:
    """Records of 3, 3 and 5 bytes under a limit of 6 make two payloads; the second starts at record 2."""
    records = [b"aa\n", b"bb\n", b"cccc\n"]

    assert [Payload(0, (b"aa\n", b"bb\n")), Payload(2, (b"cccc\n",))] == list(batches(records, "MultiRecord", 6))
    assert [b"aa\n", b"bb\n", b"cccc\n"] == [p.body for p in batches(records, "SingleRecord", 6)]
    assert [b"aa\nbb\ncccc\n"] == [p.body for p in batches(records, "MultiRecord", 0)]


@pytest.mark.parametrize("strategy", ["SingleRecord", "MultiRecord"])
def test_a_record_over_the_limit_is_named(strategy: str) -> None:
    """The error says which record, its size and the limit."""
    with pytest.raises(RecordTooLarge, match=r"Record 2 has 6 bytes, more than the 5"):
        list(batches([b"a\n", b"bbbbb\n", b"c\n"], strategy, 5))


def test_an_unknown_strategy_is_refused() -> None:
    """A strategy SageMaker does not know is an error, not a default."""
    with pytest.raises(ValueError, match="Multi"):
        list(batches([b"a"], "Multi", 0))


@given(lines=LINES, limit=st.integers(31, 200), strategy=st.sampled_from(["SingleRecord", "MultiRecord"]))
def test_every_byte_travels_exactly_once_and_in_order(lines: list[str], limit: int, strategy: str) -> None:
    """Payloads joined are the file; none exceeds the limit; `first` counts the records before it."""
    records = split_records("".join(line + "\n" for line in lines).encode(), "Line")
    payloads = list(batches(records, strategy, limit))

    assert records == [record for payload in payloads for record in payload.records]
    assert all(len(payload.body) <= limit for payload in payloads)
    assert [payload.first for payload in payloads] == [
        sum(len(before.records) for before in payloads[:index]) for index in range(len(payloads))
    ]


def test_assembling_by_line_ends_every_part_with_a_newline() -> None:
    """AssembleWith Line adds a newline after each response, also after one that has its own."""
    assert b"a\nb\n\n" == assemble([b"a", b"b\n"], "Line")
    assert b"ab\n" == assemble([b"a", b"b\n"], None) == assemble([b"a", b"b\n"], "None")


# AWS's emulation measures the memory of a Python string (its characters and this header) and asks for "less than".
OVERHEAD = sys.getsizeof("") + 1


@given(
    lines=LINES,
    ends=st.lists(st.sampled_from(["\n", "\r\n", "\r"]), min_size=12, max_size=12),
    finished=st.booleans(),
    limit=st.integers(40, 200),
    strategy=st.sampled_from(["SingleRecord", "MultiRecord"]),
    split=st.sampled_from(["Line", None]),
)
def test_payloads_equal_those_of_aws_own_emulation(
    tmp_path_factory: pytest.TempPathFactory,
    lines: list[str],
    ends: list[str],
    finished: bool,
    limit: int,
    strategy: str,
    split: str | None,
) -> None:
    """`sagemaker.core.local.data` cuts the same file into the same payloads, once its limit is put in bytes."""
    oracle = pytest.importorskip("sagemaker.core.local.data", reason="the sagemaker extra is not installed")
    text = "".join(line + end for line, end in zip(lines, ends, strict=False))
    if not finished:
        text = text.rstrip("\r\n")
    if split is None:
        limit = 0
    path: Path = tmp_path_factory.getbasetemp() / "oracle.txt"
    path.write_bytes(text.encode())
    size = (limit + OVERHEAD) / 2**20 if limit else 0
    provider = oracle.get_batch_strategy_instance(strategy, oracle.get_splitter_instance(split))
    theirs = [part if isinstance(part, bytes) else part.encode() for part in provider.pad(str(path), size)]

    assert theirs == bodies(text.encode(), split, strategy, limit)
