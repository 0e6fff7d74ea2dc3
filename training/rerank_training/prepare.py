"""Everything a run learns from, made once and kept in its work folder: text, candidate lists, tokenizer, lexicon."""

import json
import random
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from rerank_training.beir import read_collection
from rerank_training.contents import digest_of, digests_of
from rerank_training.errors import DataError
from rerank_training.initial import Lexicon
from rerank_training.lexicon import make_lexicon
from rerank_training.mining import Lists, mine, save_arrays
from rerank_training.passages import TrainingText, known_answers, make_text
from rerank_training.stored import Recorded, StoredTeacher, write_scores
from rerank_training.teachers import Report, open_teacher, teacher_path
from rerank_training.texts import Example, Excluded, read_examples
from rerank_training.vocabulary import read_tokenizer, teacher_words, train_tokenizer
from rerank_training.work import claim

SAVED = "saved-scores.sha256"  # of the file that --save-teacher-scores wrote
SHORTEST_QUERY = 7  # characters; a heading such as "[ C# ]" asks nothing


@dataclass(frozen=True, slots=True)
class DataOptions:
    """What to learn from.

    Attributes:
        pairs: JSON Lines files of examples.
        exclude: BEIR folders whose queries and documents must not be trained on.
        sample: at most that many examples of each file; 0 takes all.
        teacher: as `teachers` names them.
        teacher_weight, bm25_weight: the mixture; each teacher's scores are standardised per query first.
        shape: cut and join passages to varied lengths and make queries; off takes the data as it is.
        hard, random: BM25 negatives and random passages per query.
        vocabulary: tokens of a tokenizer trained here; ignored when `tokenizer` is given.
        tokenizer: tokenizer.json to take over.
        watch: queries of each file held out to watch nDCG.
        bf16: run a bi-encoder teacher in bfloat16.
        seed: of everything drawn.
    """

    pairs: tuple[Path, ...]
    exclude: tuple[Path, ...] = ()
    sample: int = 0
    teacher: str = "biencoder:packaged"
    teacher_weight: float = 1.0
    bm25_weight: float = 1.0
    shape: bool = True
    hard: int = 30
    random: int = 6
    vocabulary: int = 12_000
    tokenizer: Path | None = None
    watch: int = 80
    bf16: bool = False
    seed: int = 0


@dataclass(frozen=True)
class Prepared:
    """A run's data.

    Attributes:
        text: passages and queries.
        lists: candidates and teacher's scores.
        tokenizer_file: tokenizer.json of the student.
        learn, watch: positions of the queries trained on, and of those only watched.
        fingerprint: of the options and of what the files hold.
    """

    text: TrainingText
    lists: Lists
    tokenizer_file: Path
    learn: list[int]
    watch: list[int]
    fingerprint: str


def prepare(options: DataOptions, work: Path, report: Report, save_scores: Path | None = None) -> Prepared:
    """Read, exclude, shape, ask the teacher, mine; what `work` already holds of the same options is not made again.

    With `save_scores`, what the teacher said is written to that file, unless this run has written it before.

    Raises:
        DataError: files are missing or malformed, nothing is left to learn from, `work` holds a state that was trained
            on other data, or `save_scores` is there and not of this run.
    """
    report("reading", 0.0)
    fingerprint, anew = claim(work, asdict(options), digests_of(_inputs(options)))
    if anew:
        report(f"preparing anew: {anew} ({work})", 0.0)
    examples, counts = _examples(options)
    text = make_text(examples, seed=options.seed) if options.shape else plain_text(examples)
    lists = _lists(options, text, work, report, save_scores)
    tokenizer_file = _tokenizer(options, text, work, report)
    watch = _watched(counts, len(text.queries), options)
    held = set(watch)
    learn = [n for n in range(len(text.queries)) if n not in held]
    return Prepared(text, lists, tokenizer_file, learn, watch, fingerprint)


def _inputs(options: DataOptions) -> list[Path]:
    """Every file and folder that is read, the teacher's included."""
    return [*options.pairs, *options.exclude, *filter(None, (teacher_path(options.teacher), options.tokenizer))]


def _lists(options: DataOptions, text: TrainingText, work: Path, report: Report, save_scores: Path | None) -> Lists:
    """The candidates of each query with their scores, from `work` or made now."""
    file = work / "lists.npz"
    saving = save_scores is not None and not _saved_before(save_scores, work)
    if file.exists() and not saving:
        return _kept_lists(file, text)
    teacher = open_teacher(options.teacher, text, work, bf16=options.bf16, report=report)
    if teacher is None and saving:
        raise DataError("BM25 alone has no scores to save: it is made anew each time.", tip="Name a --teacher.")
    said = Recorded(teacher) if teacher else None
    if file.exists():
        lists = _kept_lists(file, text)
    else:
        scored = teacher.scored if isinstance(teacher, StoredTeacher) else lambda query: []
        lists = mine(
            text,
            {"teacher": said} if said else {},
            {"teacher": options.teacher_weight, "bm25": options.bm25_weight} if said else {"bm25": 1.0},
            hard=min(options.hard, max(1, len(text.passages) - 1 - options.random)),
            random=options.random,
            seed=options.seed,
            own=lambda query: [*(text.others[query] if text.others else ()), *scored(query)],
            report=lambda done: report("mining hard negatives" if done else "indexing passages for BM25", done),
        )
        lists.save(file)
    if said and save_scores is not None and saving:
        write_scores(save_scores, text, lists, said, report)
        (work / SAVED).write_text(digest_of(save_scores), encoding="utf-8")
    return lists


def _kept_lists(file: Path, text: TrainingText) -> Lists:
    lists = Lists.load(file)
    if len(lists.candidates) != len(text.queries):
        raise DataError(
            f"{file} has lists of {len(lists.candidates)} queries; the data has {len(text.queries)}.", tip="Delete it."
        )
    return lists


def _saved_before(file: Path, work: Path) -> bool:
    """Whether `file` holds the scores that the run in `work` wrote.

    Raises:
        DataError: it holds something else, which would be kept as if it were the teacher's scores.
    """
    if not file.exists():
        return False
    written = work / SAVED
    if written.exists() and written.read_text(encoding="utf-8") == digest_of(file):
        return True
    raise DataError(f"{file} exists, and this run did not write it.", tip="Delete it, or name another file.")


def lexicon(prepared: Prepared, options: DataOptions, work: Path, report: Report) -> Lexicon:
    """The student's lexicon, kept in `work`; content comes from a bi-encoder teacher, or is None."""
    file = work / "lexicon.npz"
    if file.exists():
        with np.load(file) as kept:
            return Lexicon(kept.get("vectors"), kept["rarity"])
    report("asking the teacher about each token", 0.0)
    made = make_lexicon(read_tokenizer(prepared.tokenizer_file), prepared.text.passages, _encoder(options))
    save_arrays(file, rarity=made.rarity, **({} if made.vectors is None else {"vectors": made.vectors}))
    return made


def plain_text(examples: list[Example]) -> TrainingText:
    """The examples' own passages and queries, nothing cut, joined or made."""
    places: dict[str, int] = {}
    for example in examples:
        for passage in (*example.positives, *example.others):
            places.setdefault(passage, len(places))
    positives = tuple(places[example.positives[0]] if example.positives else -1 for example in examples)
    others = tuple(tuple(places[other] for other in example.others) for example in examples)
    queries, known = tuple(example.query for example in examples), tuple(known_answers(examples, places))
    return TrainingText(tuple(places), queries, positives, len(examples), others, known)


def _examples(options: DataOptions) -> tuple[list[Example], list[int]]:
    """All examples to learn from, and how many of them each file gave."""
    collections = [read_collection(folder) for folder in options.exclude]
    excluded = Excluded(
        (query for collection in collections for query in collection.queries.values()),
        (document.text for collection in collections for document in collection.documents.values()),
    )
    examples: list[Example] = []
    counts = []
    for path in options.pairs:
        kept = [e for e in read_examples([path]) if not excluded.keeps_out(e)]
        if options.shape:  # elsewhere each query is meant to be there
            kept = [e for e in kept if len(e.query) >= SHORTEST_QUERY and not e.query.startswith("[")]
        if 0 < options.sample < len(kept):
            chosen = set(random.Random(options.seed).sample(range(len(kept)), options.sample))  # noqa: S311
            kept = [example for n, example in enumerate(kept) if n in chosen]
        examples += kept
        counts.append(len(kept))
    if not examples:
        raise DataError(f"Nothing to learn from: {', '.join(map(str, options.pairs))} leave no example.")
    return examples, counts


def _watched(counts: list[int], queries: int, options: DataOptions) -> list[int]:
    """`watch` queries of each file, and a quarter as many of the made ones; never more than a fifth of either."""
    rng = random.Random(options.seed + 7)  # noqa: S311
    bounds = [sum(counts[:n]) for n in range(len(counts) + 1)]
    ranges = [(range(a, b), options.watch) for a, b in pairwise(bounds)]
    ranges.append((range(bounds[-1], queries), options.watch // 4))
    return sorted(n for places, wanted in ranges for n in rng.sample(places, min(wanted, len(places) // 5)))


def _tokenizer(options: DataOptions, text: TrainingText, work: Path, report: Report) -> Path:
    if options.tokenizer is not None:
        return options.tokenizer
    file = work / "tokenizer.json"
    if not file.exists():
        report("training the tokenizer", 0.0)
        encoder = _encoder(options)
        words = [] if encoder is None else teacher_words(encoder.tokenizer)
        trained = train_tokenizer([*text.passages, *text.queries], size=options.vocabulary, common_words=words)
        content = json.loads(trained.to_str())
        part = file.with_name(f"{file.name}.part")
        part.write_text(json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
        part.replace(file)
    return file


def _encoder(options: DataOptions) -> Any:
    from rerank_training.biencoder import BiEncoder, packaged_folder

    kind, _, rest = options.teacher.partition(":")
    if kind != "biencoder":
        return None
    return BiEncoder(packaged_folder() if rest == "packaged" else Path(rest))
