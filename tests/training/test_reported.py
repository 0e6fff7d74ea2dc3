"""Published figures: listed as reported, each with commands that this repository has."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rerank_bundle.hub import parse_id
from rerank_bundle.known_models import shipped
from rerank_ops import cli
from rerank_training.reported import REPORTED, Reported


def test_the_published_figures_are_listed() -> None:
    """BEIR's mean nDCG@10 of five models, and the hit rate of tiny."""
    found = {(figure.model.partition("/")[2], figure.value) for figure in REPORTED}

    assert {
        ("jina-reranker-v1-base-en", "52.45"),
        ("jina-reranker-v1-turbo-en", "49.60"),
        ("jina-reranker-v1-tiny-en", "48.54"),
        ("bge-reranker-base", "47.89"),
        ("mxbai-rerank-base-v1", "49.19"),
        ("jina-reranker-v1-tiny-en", "83–85 %"),
    } == found


@pytest.mark.parametrize("figure", REPORTED, ids=lambda figure: f"{figure.model} {figure.value}")
def test_what_would_reproduce_a_figure_is_accepted(figure: Reported) -> None:
    """Both commands parse, the bundle that is written is the one evaluated, and the revision is the one pinned."""
    parser = cli.build_parser(cli.discover())

    package, evaluate = (parser.parse_args(shlex.split(part)[1:]) for part in figure.command.split("&&"))

    source = parse_id(figure.model, revision=package.revision, known=shipped())
    pinned = parse_id(figure.model, revision=None, known=shipped())
    assert ("package", "evaluate") == (package.command, evaluate.command)
    assert figure.model == package.source
    assert [str(package.output)] == evaluate.model
    assert pinned == source


def test_reported_figures_come_apart_from_measured_ones(
    make_collection: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """In a table of their own that says so, and under a key of their own for programs."""
    folder = str(make_collection(size=5))

    assert cli.main(["evaluate", folder, "--reported"]) == 0
    table = capsys.readouterr().out
    assert cli.main(["evaluate", folder, "--reported", "--json"]) == 0
    report: dict[str, Any] = json.loads(capsys.readouterr().out)

    assert "Reported by the models' authors; not measured here" in table
    assert len(REPORTED) == len(report["reported"])
    assert "52.45" not in json.dumps(report["collections"])


def test_several_collections_have_a_mean(make_collection: Callable[..., Path], capsys: Any) -> None:
    """Each counts alike, whatever its number of queries: as BEIR's means are made."""
    folders = [str(make_collection(name, size=size, seed=size)) for name, size in (("one", 5), ("two", 20))]

    assert cli.main(["evaluate", *folders, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert cli.main(["evaluate", *folders]) == 0

    each = [rows[0]["measures"]["nDCG@10"]["mean"] for rows in report["collections"].values()]
    assert sum(each) / 2 == pytest.approx(report["means"]["bm25"]["nDCG@10"])
    assert "Mean of 2 collections: one, two" in capsys.readouterr().out
