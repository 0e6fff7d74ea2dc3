"""The text on which models are timed: fixed, in this repository, of the lengths that search finds."""

from collections.abc import Sequence
from importlib.resources import files
from itertools import cycle, islice

Request = tuple[str, list[str]]  # a query and its passages

QUERIES = (
    "How do I keep the latency of my endpoint low?",
    "What does a reranker read, and what does it return?",
    "Which three things are needed to deploy a model?",
    "How long does a batch transform job keep its instances?",
    "When should documents be cut into chunks before they are scored?",
    "Why are the words of query and document scored together?",
    "How are passages ordered that have the same score?",
    "What does it cost to keep an endpoint up overnight?",
)
WORDS = (45, 120, 75, 230, 95, 150, 60, 180)  # of the passages, in turn: 119 on average


def text() -> list[str]:
    """The sentences that the passages are made of."""
    return files("rerank_bundle").joinpath("data/demo_text.txt").read_text(encoding="utf-8").splitlines()


def requests(count: int, passages: int) -> list[Request]:
    """`count` requests of `passages` passages each; always the same ones."""
    sentences = text()
    made, start = [], 0
    for query in islice(cycle(QUERIES), count):
        documents = []
        for words in islice(cycle(WORDS), passages):
            documents.append(_passage(sentences, start, words))
            start += 7  # no passage begins where another does until all 66 sentences have begun one
        made.append((query, documents))
    return made


def mean_words(made: Sequence[Request]) -> int:
    """Words of a passage of these requests, on average."""
    lengths = [len(passage.split()) for _, passages in made for passage in passages]
    return round(sum(lengths) / len(lengths))


def _passage(sentences: Sequence[str], start: int, words: int) -> str:
    """Sentences from `start` on, round and round, cut after `words` words."""
    found: list[str] = []
    while len(found) < words:
        found += sentences[start % len(sentences)].split()
        start += 1
    return " ".join(found[:words])
