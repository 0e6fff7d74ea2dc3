"""Training text made of examples: passages of varied length, and queries beyond those that came with them.

Pure and seeded: the same examples and seed give the same passages and queries, byte for byte.
"""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rerank_training.texts import Example

SHORT_WORDS = 60  # a passage below this is a sentence of some page: it may be joined to its neighbours in the file
STOP = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "by",
        "can",
        "do",
        "does",
        "for",
        "from",
        "has",
        "have",
        "how",
        "if",
        "in",
        "into",
        "is",
        "it",
        "its",
        "of",
        "on",
        "or",
        "our",
        "that",
        "the",
        "their",
        "then",
        "there",
        "these",
        "they",
        "this",
        "to",
        "was",
        "we",
        "were",
        "what",
        "when",
        "where",
        "which",
        "who",
        "why",
        "will",
        "with",
        "you",
        "your",
    ]
)
TEMPLATES = ("what is {}?", "how does {} work?", "how do i use {}?", "{}?", "tell me about {}", "where can i find {}?")


@dataclass(frozen=True, slots=True)
class TrainingText:
    """Queries and passages to mine from.

    Attributes:
        passages: the passages, distinct.
        queries: the queries: given ones first, then the made ones.
        positives: for each query the position of its passage, or -1 when it has none.
        given: how many of the queries came with the data.
        others: for each query the positions of passages that came with it, its given negatives; empty: none did.
        known: for each query the positions of all passages that any line of the data says answer it; empty: those of
            `positives`.
    """

    passages: tuple[str, ...]
    queries: tuple[str, ...]
    positives: tuple[int, ...]
    given: int
    others: tuple[tuple[int, ...], ...] = ()
    known: tuple[tuple[int, ...], ...] = ()


def known_answers(examples: Sequence[Example], places: Mapping[str, int]) -> list[tuple[int, ...]]:
    """For each example the positions of the passages that answer its query, in whichever line that is said."""
    found: dict[str, dict[int, None]] = {}
    for example in examples:
        found.setdefault(example.query, {}).update((places[passage], None) for passage in example.positives)
    return [tuple(found[example.query]) for example in examples]


def make_text(
    examples: Sequence[Example],
    *,
    seed: int,
    shortest: int = 25,
    longest: int = 180,
    titles: float = 0.7,
    made_queries: float = 1.0,
) -> TrainingText:
    """Passages of `shortest` to `longest` words (log-uniform) and their queries.

    Args:
        examples: the pairs.
        seed: of every choice made here.
        shortest: words below which a passage that has short neighbours is joined to them.
        longest: words above which a passage is cut.
        titles: share of the passages that begin with their page's title, as chunks of a page do at search time.
        made_queries: queries made per passage: a phrase of it (an inverse cloze task, https://arxiv.org/abs/1906.00300),
            some of its words, or a question made of its heading.
    """
    rng = random.Random(seed)  # noqa: S311 - choices, not secrets
    sources: dict[str, tuple[int, str]] = {}  # passage -> its position, its title
    for example in examples:
        for text in (*example.positives, *example.others):
            sources.setdefault(text, (len(sources), example.title))
    raw = list(sources)
    bodies = [_shaped(raw, n, rng, shortest, longest) for n in range(len(raw))]
    titled = [
        f"{title}\n{body}" if title and rng.random() < titles else body
        for body, (_, title) in zip(bodies, sources.values(), strict=True)
    ]
    queries, positives = [], []
    for example in examples:
        queries.append(_asked(example.query, rng))
        positives.append(sources[example.positives[0]][0] if example.positives else -1)
    given = len(queries)
    others = [tuple(sources[other][0] for other in example.others) for example in examples]
    known = known_answers(examples, {passage: place for passage, (place, _) in sources.items()})
    for n, body in enumerate(bodies):
        if rng.random() < made_queries:
            queries.append(_made(body, rng))
            positives.append(n)
            others.append(())
            known.append((n,))
    return TrainingText(tuple(titled), tuple(queries), tuple(positives), given, tuple(others), tuple(known))


def _shaped(raw: Sequence[str], n: int, rng: random.Random, shortest: int, longest: int) -> str:
    """Passage `n` cut or joined to a length drawn between the bounds."""
    wanted = int(shortest * (longest / shortest) ** rng.random())
    words = raw[n].split()
    if len(words) > wanted:
        start = 0 if rng.random() < 0.8 else rng.randrange(len(words) - wanted + 1)
        return " ".join(words[start : start + wanted])
    first = last = n
    count = len(words)
    while count < wanted and len(words) < SHORT_WORDS:
        before, after = first - 1, last + 1
        sides = [side for side in (before, after) if 0 <= side < len(raw) and len(raw[side].split()) < SHORT_WORDS]
        if not sides:
            break
        side = rng.choice(sides)
        count += len(raw[side].split())
        first, last = min(first, side), max(last, side)
    return " ".join(raw[first : last + 1])


def _asked(query: str, rng: random.Random) -> str:
    """A heading as it stands, or as the question someone might ask; questions stay as they are."""
    if query.rstrip().endswith("?") or rng.random() < 0.6:
        return query
    return rng.choice(TEMPLATES).format(query.strip().rstrip("."))


def _made(body: str, rng: random.Random) -> str:
    words = body.split()
    if rng.random() < 0.4:
        size = min(len(words), rng.randint(4, 12))
        start = rng.randrange(len(words) - size + 1)
        return " ".join(words[start : start + size])
    telling = [word for word in words if len(word) > 2 and word.lower().strip(".,:;()") not in STOP] or words
    size = min(len(telling), rng.randint(2, 6))
    start = rng.randrange(len(telling))
    near = telling[max(0, start - 12) : start + 12]
    chosen = sorted(rng.sample(range(len(near)), min(size, len(near))))
    phrase = re.sub(r"[*`\[\]()\"]", "", " ".join(near[n] for n in chosen)).strip(" .,;:")
    return rng.choice(TEMPLATES).format(phrase) if rng.random() < 0.3 else phrase or body
