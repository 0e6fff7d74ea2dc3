"""Remembered scores: the same answers, fewer passes, and never more entries than allowed."""

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rerank_engine.errors import NotFinite
from rerank_engine.service.score_cache import ScoreCache
from rerank_engine.service.scoring import Outcome
from rerank_engine.service.service import Service
from rerank_engine.settings import Settings

Make = Callable[..., Service]


def ask(service: Service, query: str, *documents: str, **options: object) -> Any:
    body = json.dumps({"query": query, "documents": documents, **options})
    reply = service.handle(body, "application/json")
    assert reply.status == 200, reply.body
    return json.loads(reply.body)


def test_a_remembered_answer_is_the_computed_one(make_service: Make, engine: Any) -> None:
    """Asked twice, the answers are equal and the second one costs no forward pass."""
    service = make_service(cache_entries=10)

    answers = [ask(service, "q", "a", "bbb") for _ in range(2)]

    assert answers[0] == answers[1]
    assert [2] == engine.passes


def test_only_what_is_new_is_computed(make_service: Make, engine: Any) -> None:
    """Known documents among new ones, in another order, keep their places and scores."""
    plain, service = make_service(), make_service(cache_entries=10)
    ask(service, "q", "a", "bbb")
    engine.passes.clear()

    answer = ask(service, "q", "new", "bbb", "a", top_n=2)

    assert [1] == engine.passes
    assert ask(plain, "q", "new", "bbb", "a", top_n=2) == answer


def test_another_query_is_another_score(make_service: Make, engine: Any) -> None:
    """The same document under another query is computed."""
    service = make_service(cache_entries=10)

    ask(service, "q", "a")
    ask(service, "other", "a")

    assert [1, 1] == engine.passes


def test_errors_are_not_remembered(make_service: Make, engine: Any) -> None:
    """A pair that failed is tried again."""
    service = make_service(cache_entries=10)
    body = '{"query": "q", "documents": ["☠"]}'

    statuses = [service.handle(body, "application/json").status for _ in range(2)]

    assert [500, 500] == statuses
    assert [1, 1] == engine.passes


def test_off_by_default(make_service: Make, engine: Any) -> None:
    """Without the setting nothing is kept."""
    service = make_service()

    for _ in range(2):
        ask(service, "q", "a")

    assert service.cache is None
    assert [1, 1] == engine.passes


def fill(cache: ScoreCache, *numbers: int) -> int:
    """Score pairs of these numbers; how many were remembered."""
    recall = cache.recall([[number] for number in numbers])
    done = cache.complete(recall, Outcome([float(pair[0]) for pair in recall.missing]))

    assert [float(number) for number in numbers] == done.scores
    return recall.hits


def test_the_least_recently_used_is_forgotten() -> None:
    """Two places: asking for 1 again keeps it, and 2 makes room for 3."""
    cache = ScoreCache(2)

    hits = [fill(cache, *numbers) for numbers in ((1,), (2,), (1,), (3,), (1,), (2,))]

    assert [0, 0, 1, 0, 1, 0] == hits
    assert 2 == len(cache)


def test_a_call_larger_than_the_cache() -> None:
    """It is answered in full; as much is kept as there is room for."""
    cache = ScoreCache(2)

    fill(cache, *range(10))

    assert 2 == len(cache)


WHOLE = tuple(range(7, 607))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((1, 2, 3), (3, 2, 1)),
        ((1, 2, 3), (1, 3, 2)),
        ((1, 2, 3), (1, 2)),
        ((1, 2, 3), (2, 3)),
        ((1, 2), (1, 2, 0)),
        ((0, 1), (1,)),
        ((1, 1, 2), (1, 2, 2)),
        ((1, 23), (12, 3)),
        ((1,), (257,)),
        ((1,), (65_537,)),
        ((1,), (2**31 + 1,)),
        (WHOLE, WHOLE[:-1]),
        (WHOLE, (*WHOLE[:-1], 8)),
        (WHOLE, (8, *WHOLE[1:])),
        (WHOLE, (*WHOLE[:300], 8, *WHOLE[301:])),
        (WHOLE, WHOLE[::-1]),
    ],
    ids=repr,
)
def test_every_token_and_its_place_is_part_of_the_key(one: tuple[int, ...], other: tuple[int, ...]) -> None:
    """Order, first, middle and last token, length, and the high bytes of an id: pairs that differ are not mistaken."""
    cache = ScoreCache(10)
    cache.complete(cache.recall([one]), Outcome([1.0]))

    recall = cache.recall([other, list(one)])

    assert (1, [other], [None, 1.0]) == (recall.hits, list(recall.missing), list(recall.known))


ids = st.lists(st.integers(0, 300_000), min_size=1, max_size=40)


@given(one=ids, other=ids | ids.flatmap(st.permutations))
def test_only_equal_ids_are_one_pair(one: list[int], other: list[int]) -> None:
    """For any two pairs."""
    cache = ScoreCache(10)
    cache.complete(cache.recall([one]), Outcome([1.0]))

    assert (one == other) == bool(cache.recall([other]).hits)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("a b", ["c"], {}), ("b a", ["c"], {})),
        (("a", ["b c"], {}), ("a", ["c b"], {})),
        (("a", ["b c"], {}), ("a b", ["c"], {})),
        (("a", ["b"], {}), ("b", ["a"], {})),
        (("a", ["b " * 60], {}), ("a", ["b " * 60], {"max_doc_length": 30})),
        (("a", ["b " * 60 + "c"], {}), ("a", ["b " * 60 + "d"], {})),
    ],
)
def test_what_a_real_model_sees_is_the_key(
    bundle_dir: Any, first: tuple[str, list[str], dict[str, int]], second: tuple[str, list[str], dict[str, int]]
) -> None:
    """Words of query and document in their order, on their side, as far as they are read."""
    from rerank_engine.reranker.engine import Reranker

    reranker = Reranker.load(bundle_dir)
    cached, plain = Service(reranker, Settings(cache_entries=10)), Service(reranker, Settings())
    ask(cached, first[0], *first[1], **first[2])

    answers = [ask(service, second[0], *second[1], **second[2]) for service in (cached, plain)]

    [score, expected] = [answer["results"][0]["relevance_score"] for answer in answers]
    assert score == pytest.approx(expected, abs=1e-7)
    assert 2 == len(cached.cache)  # type: ignore[arg-type]


def test_an_error_in_the_middle_keeps_the_order() -> None:
    """Remembered scores and computed ones, errors among them, stand where their pairs stood."""
    cache, error = ScoreCache(10), NotFinite("NaN")
    fill(cache, 2)

    done = cache.complete(cache.recall([[1], [2], [3]]), Outcome([1.0, error]))

    assert [1.0, 2.0, error] == done.scores


def test_many_threads() -> None:
    """Callers at once get their own scores, and the bound holds."""
    cache = ScoreCache(50)
    failures: list[BaseException] = []

    def call(start: int) -> None:
        try:
            for turn in range(50):
                fill(cache, *range(start + turn, start + turn + 20))
        except AssertionError as error:
            failures.append(error)

    threads = [threading.Thread(target=call, args=(number * 7,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [] == failures
    assert 50 == len(cache)


@pytest.mark.parametrize("entries", [0, 100])
def test_a_real_model_with_and_without(bundle_dir: Any, entries: int) -> None:
    """With a real model, too: the second answer equals the first within a hundred-thousandth."""
    from rerank_engine.reranker.engine import Reranker

    service = Service(Reranker.load(bundle_dir), Settings(cache_entries=entries))

    first = ask(service, "scale", "Add instances.", "Bananas.", return_documents=False)["results"]
    second = ask(service, "scale", "Bananas.", "Pods.", "Add instances.", return_documents=False)["results"]

    scores = {entry["index"]: entry["relevance_score"] for entry in second}
    renumbered = {0: 2, 1: 0}
    assert {renumbered[entry["index"]]: pytest.approx(entry["relevance_score"], abs=1e-5) for entry in first} == {
        index: scores[index] for index in (2, 0)
    }
