"""Where long documents are cut: pure arithmetic."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rerank_engine.reranker.chunking import ChunkPlan, Span, plan


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        (0, [(0, 0)]),
        (1, [(0, 1)]),
        (10, [(0, 10)]),
        (11, [(0, 10), (1, 11)]),
        (18, [(0, 10), (8, 18)]),
        (19, [(0, 10), (8, 18), (9, 19)]),
        (26, [(0, 10), (8, 18), (16, 26)]),
        (99, [(0, 10), (8, 18), (16, 26)]),
    ],
)
def test_spans(tokens: int, expected: list[Span]) -> None:
    """What fits is one chunk; else neighbours share tokens, the last one ends with the document, at most three here."""
    assert expected == ChunkPlan(size=10, overlap=2, most=3).spans(tokens)


@pytest.mark.parametrize(
    ("room", "size", "overlap", "expected"),
    [
        (8000, 0, 64, ChunkPlan(8000, 64, 10)),
        (8000, 512, 64, ChunkPlan(512, 64, 10)),
        (400, 512, 64, ChunkPlan(400, 64, 10)),
        (40, 0, 64, ChunkPlan(40, 20, 10)),
        (1, 0, 64, ChunkPlan(1, 0, 10)),
        (0, 0, 64, ChunkPlan(1, 0, 10)),
    ],
)
def test_plan_fits_the_room(room: int, size: int, overlap: int, expected: ChunkPlan) -> None:
    """A chunk is never longer than what the query leaves, and never shares more than half of itself."""
    assert expected == plan(room, size=size, overlap=overlap, most=10)


@given(
    tokens=st.integers(0, 5000),
    size=st.integers(1, 300),
    overlap=st.integers(0, 300),
    most=st.integers(1, 30),
)
def test_every_token_within_reach_is_in_a_chunk(tokens: int, size: int, overlap: int, most: int) -> None:
    """No gap, no chunk above the size, no more chunks than allowed, and none twice."""
    chunks = plan(1000, size=size, overlap=overlap, most=most)

    spans = chunks.spans(tokens)

    covered = {token for start, stop in spans for token in range(start, stop)}
    assert set(range(min(tokens, chunks.reach))) == covered
    assert max(stop - start for start, stop in spans) <= size
    assert len(set(spans)) == len(spans) <= most
