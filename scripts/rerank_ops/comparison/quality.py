"""How well models rank a collection in BEIR's layout, by rerank_training's evaluation."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rerank_ops.comparison.measure import Candidate
from rerank_ops.errors import Missing
from rerank_ops.progress import Meter, Pace

MEASURE = "nDCG@10"


@dataclass(frozen=True, slots=True)
class Quality:
    """Mean nDCG@10 over a collection's queries.

    Attributes:
        collection: its name.
        queries: how many.
        top: candidates reranked per query.
        first_stage: that of BM25, which all models rerank.
        models: per label (mean, lower end, upper end), the ends of the 95 % interval.
    """

    collection: str
    queries: int
    top: int
    first_stage: float
    models: dict[str, tuple[float, float, float]]


def check(folder: Path) -> None:
    """What measuring quality on `folder` needs is there, told before speed is measured.

    Raises:
        Missing: a package is not installed. TrainingError: one is not, or `folder` is no collection.
    """
    try:
        from rerank_training.beir import require_collection
        from rerank_training.bm25 import require_bm25
        from rerank_training.metrics import require_measures
    except ImportError as error:
        raise Missing(f"--data needs {error.name}.", tip="In the checkout: pip install -e '.[training]'") from error
    require_bm25()
    require_measures((MEASURE,))
    require_collection(folder)


def evaluate(folder: Path, candidates: Sequence[Candidate], *, queries: int, top: int, report: Meter) -> Quality:
    """Rerank BM25's `top` candidates of the first `queries` queries (0: all) with each of `candidates`.

    Raises:
        Missing: rerank_training is not installed.
        TrainingError: the collection cannot be read.
    """
    try:
        from rerank_training import evaluation
        from rerank_training.beir import read_collection
        from rerank_training.runs import bm25_run
        from rerank_training.scorers import FirstStage, open_scorer
    except ImportError as error:
        raise Missing(f"--data needs {error.name}.", tip="pip install -e '.[training]' in the checkout.") from error
    report(None, f"reading {folder}, BM25")
    collection = read_collection(folder).subset(queries)
    run = bm25_run(collection, top)
    baseline = evaluation.evaluate(collection, run, FirstStage(), top=top, measures=(MEASURE,))
    models = {}
    pace = Pace(report)
    for number, candidate in enumerate(candidates):
        name = f"{collection.name}: {candidate.label}"

        def told(done: float, of: int, number: int = number, name: str = name) -> None:
            pace(number + done / of, len(candidates), f"{name}, query {min(int(done) + 1, of)} of {of}")

        pace(number, len(candidates), name)
        scorer = open_scorer(str(candidate.folder))
        result = evaluation.evaluate(collection, run, scorer, top=top, measures=(MEASURE,), report=told)
        interval = result.interval(MEASURE)
        models[candidate.label] = interval.mean, interval.low, interval.high
    return Quality(collection.name, len(collection.queries), top, baseline.interval(MEASURE).mean, models)


def reported(published: dict[str, str]) -> dict[str, str]:
    """Mean nDCG@10 on BEIR as reported by publishers, by label, where some is; `published` maps labels to hub ids."""
    try:
        from rerank_training.reported import REPORTED
    except ImportError:
        return {}
    figures = {figure.model: figure.value for figure in REPORTED if "BEIR" in figure.measure}
    return {label: figures[model] for label, model in published.items() if model in figures}
