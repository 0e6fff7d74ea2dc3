"""JSONPath filters and joins of a transform job: tables of what SageMaker documents, and properties."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rerank_local.data.errors import BadFilter, JoinFailed
from rerank_local.data.transform.join import Processing
from rerank_local.data.transform.jsonpath import parse

RECORD = {"id": "r1", "query": "q", "tags": ["a", "b", "c"], "deep": {"x": 1, "y": [10, 20]}}
ROW = ["0", "1", "2", "3", "4", "5", "6"]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def lines(**changes: Any) -> Processing:
    return Processing(**{"media_type": "application/jsonlines", "by_line": True, **changes})


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("$", RECORD),
        ("", RECORD),
        ("$.id", "r1"),
        ("$['id']", "r1"),
        ('$["id"]', "r1"),
        ("$.deep.y[1]", 20),
        ("$.deep['y'][-1]", 20),
        ("$['id','query']", {"id": "r1", "query": "q"}),
        ("$['query', 'id']", {"query": "q", "id": "r1"}),
        ("$['id','nothing']", {"id": "r1"}),
        ("$.deep.['x','y']", {"x": 1, "y": [10, 20]}),
        ("$['tags','more'][0]", ["a"]),
        ("$.tags[0,2]", ["a", "c"]),
        ("$.tags[1:]", ["b", "c"]),
        ("$.tags[:2]", ["a", "b"]),
        ("$.tags[0,1:]", ["a", "b", "c"]),
        ("$.tags[-2:]", ["b", "c"]),
        ("$.tags[*]", ["a", "b", "c"]),
        ("$.deep.*", [1, [10, 20]]),
        ("$.*.x", [1]),
    ],
)
def test_paths_select_what_the_guide_says(path: str, expected: Any) -> None:
    """One value for a path that names one thing; a list for ranges and wildcards; an object for several names."""
    assert expected == parse(path).select(RECORD)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("id", r"does not start with \$"),
        ("$..id", "subset"),
        ("$.a.", "subset"),
        ("$[?(@.a>1)]", "subset"),
        ("$.tags.length()", "subset"),
        ("$[1:5:2]", "position or range"),
        ("$[]", "subset"),
        ("$['a", "subset"),
        ("$[a]", "subset"),
        ("$[1,]", "position or range"),
        ("$[0:2,5:]", r"only single range filters of format \(eg: \[1:5\]\) are supported"),
        ("$." + "x" * 62, "64 characters; SageMaker takes 63"),
    ],
)
def test_paths_outside_the_subset_are_refused(path: str, message: str) -> None:
    """What AWS would refuse is refused before the job starts, naming the part."""
    with pytest.raises(BadFilter, match=message):
        parse(path)


def test_a_filter_of_63_characters_is_taken() -> None:
    """63 is the limit, not 62."""
    assert "v" == parse("$." + "x" * 61).select({"x" * 61: "v"})


@pytest.mark.parametrize(
    ("path", "value"),
    [("$.a", {"b": 1}), ("$.a", [1]), ("$[0]", {"a": 1}), ("$[3]", [1]), ("$[0,3]", [1]), ("$[3:]", [1]), ("$.*", 1)],
)
def test_what_is_not_there_is_an_error(path: str, value: Any) -> None:
    """A missing attribute or element fails the record instead of writing null."""
    with pytest.raises(BadFilter):
        parse(path).select(value)


@given(value=st.lists(VALUES, min_size=1, max_size=6), data=st.data())
def test_positions_are_python_indexing(value: list[Any], data: st.DataObject) -> None:
    """`$[i]` and `$[i:j]` select what list indexing selects."""
    index = data.draw(st.integers(-len(value), len(value) - 1))

    assert value[index] == parse(f"$[{index}]").select(value)
    assert value[index:] == parse(f"$[{index}:]").select(value)


def test_doing_nothing_passes_bytes_through() -> None:
    """With the defaults neither records nor responses are parsed or reformatted."""
    idle = lines()

    assert idle.idle
    assert b"{ not json\n" == idle.request_record(b"{ not json\n")
    assert [b"whatever\n\n"] == idle.output_parts([b"a\n", b"b\n"], b"whatever\n\n")


def test_the_input_filter_keeps_the_line_end() -> None:
    """What is sent is the filtered record, on a line if it came on one."""
    chosen = lines(input_filter="$['query']")

    assert b'"q"\n' == chosen.request_record(json.dumps(RECORD).encode() + b"\n")
    assert b'"q"' == chosen.request_record(json.dumps(RECORD).encode())


@pytest.mark.parametrize(
    ("record", "response", "joined"),
    [
        (b'{"key": 1}\n', b'{"label":1}', {"key": 1, "SageMakerOutput": {"label": 1}}),
        (b'{"SageMakerOutput": 0, "key": 1}', b"2", {"key": 1, "SageMakerOutput": 2}),
        (b"[1,2]\n", b'"out"', {"SageMakerInput": [1, 2], "SageMakerOutput": "out"}),
        (b'"text"', b"null", {"SageMakerInput": "text", "SageMakerOutput": None}),
    ],
)
def test_json_records_are_joined_as_documented(record: bytes, response: bytes, joined: Any) -> None:
    """Objects get the attribute SageMakerOutput; anything else is put under SageMakerInput beside it."""
    assert [joined] == [json.loads(part) for part in lines(join=True).output_parts([record], response)]


def test_join_then_filter_keeps_the_id_and_the_output() -> None:
    """The guide's own example: everything goes in, id and result come out, one line per record, text unescaped."""
    job = lines(join=True, output_filter="$['id','SageMakerOutput']", input_filter="$.query")
    records = [b'{"id":"a","query":"caf\xc3\xa9"}\n', b'{"id":"b","query":"q"}\n']

    assert [b'"caf\xc3\xa9"\n', b'"q"\n'] == [job.request_record(record) for record in records]
    assert [b'{"id":"a","SageMakerOutput":{"s":1}}', b'{"id":"b","SageMakerOutput":"\xc3\xa9"}'] == job.output_parts(
        records, b'{"s":1}\n"\xc3\xa9"\n'
    )


@pytest.mark.parametrize("response", [b"", b"1", b"1\n2\n3", b"1\n\n2"])
def test_a_response_of_another_number_of_lines_cannot_be_joined(response: bytes) -> None:
    """Two records need two lines; the error says how many came."""
    with pytest.raises(JoinFailed, match=r"lines for 2 records"):
        lines(join=True).output_parts([b"{}\n", b"{}\n"], response)


@pytest.mark.parametrize("record", [b"\n", b"{broken\n", b"NaN\n", b"\xff\n"])
def test_a_record_that_is_not_json_cannot_be_filtered_or_joined(record: bytes) -> None:
    """A blank or broken line fails its file as soon as it has to be parsed, and is named."""
    with pytest.raises(JoinFailed, match="input record"):
        lines(join=True).output_parts([record], b"1")
    with pytest.raises(JoinFailed, match="input record"):
        lines(input_filter="$.a").request_record(record)


def test_an_unsplit_json_file_is_one_record_even_over_several_lines() -> None:
    """application/json without SplitType: the file is the record, the body is the response."""
    job = Processing(join=True, media_type="application/json", by_line=False)

    assert [b'{"a":1,"SageMakerOutput":{"b":2}}'] == job.output_parts([b'{\n "a": 1\n}\n'], b'{\n"b":\n2}\n')


def test_csv_rows_are_arrays_of_columns() -> None:
    """Columns are chosen by position, responses are appended, quoting follows RFC 4180."""
    job = Processing(input_filter="$[1:]", join=True, output_filter="$[0,-1]", media_type="text/csv", by_line=True)
    row = b'id-1,"a, ""b""",3\n'

    assert b'"a, ""b""",3\n' == job.request_record(row)
    assert [b"id-1,0.5"] == job.output_parts([row], b"0.5\n")
    assert ROW[:1] + ROW[5:] == parse("$[0,5:]").select(ROW)


def test_the_output_filter_works_without_a_join() -> None:
    """OutputFilter alone picks from the response, line by line."""
    assert [b"1", b"2"] == lines(output_filter="$.s").output_parts([b"x\n", b"y\n"], b'{"s":1}\n{"s":2}\n')


@given(record=VALUES, output=VALUES)
def test_joining_loses_nothing(record: Any, output: Any) -> None:
    """Whatever JSON goes in and comes back can be read from the joined line."""
    (part,) = lines(join=True).output_parts([json.dumps(record).encode() + b"\n"], json.dumps(output).encode())
    joined = json.loads(part)

    assert output == joined.pop("SageMakerOutput")
    assert (joined if isinstance(record, dict) else joined["SageMakerInput"]) == (
        {key: value for key, value in record.items() if key != "SageMakerOutput"}
        if isinstance(record, dict)
        else record
    )
