"""Measures of a ranking, by ir-measures (https://ir-measur.es): per query and on average."""

from collections.abc import Mapping, Sequence

from rerank_training.errors import INSTALL, DataError, MissingPackage
from rerank_training.runs import Run

# Success@k is RAG's hit rate@k: whether a relevant document is among the first k.
DEFAULT = ("nDCG@10", "RR@10", "AP", "R@100", "Success@1", "Success@5", "Success@10")
TITLES = {"RR@10": "MRR@10", "AP": "MAP", "R@100": "R@100"}
PerQuery = dict[str, dict[str, float]]  # measure -> query -> value


def require_measures(measures: Sequence[str] = DEFAULT) -> None:
    """These measures can be computed here.

    Raises:
        MissingPackage: ir-measures is not installed.
        DataError: a measure is not one of ir-measures'.
    """
    try:
        import ir_measures
    except ImportError:
        raise MissingPackage("The package ir-measures is not installed.", tip=INSTALL) from None
    for name in measures:
        try:
            ir_measures.parse_measure(name)
        except (NameError, ValueError, AttributeError) as error:
            raise DataError(f"{name!r}: {error}.", tip="Measures are named as in https://ir-measur.es.") from None


def per_query(qrels: Mapping[str, Mapping[str, int]], run: Run, measures: Sequence[str] = DEFAULT) -> PerQuery:
    """The value of each measure for each query of `qrels`; a query that the run does not answer counts as 0.

    Documents are judged in the order the run has them: where scores tie, the run's order stands.

    Raises:
        MissingPackage: ir-measures is not installed.
        DataError: a measure is not one of ir-measures'.
    """
    require_measures(measures)
    import ir_measures

    parsed = {str(ir_measures.parse_measure(name)): name for name in measures}
    # Ranks, not scores: trec_eval breaks ties by document id, whatever order they came in.
    ranked = {q: {d: float(-n) for n, (d, _) in enumerate(rows)} for q, rows in run.items()}
    judged = {query: dict(grades) for query, grades in qrels.items()}
    values: PerQuery = {name: dict.fromkeys(judged, 0.0) for name in measures}
    for found in ir_measures.iter_calc([ir_measures.parse_measure(name) for name in measures], judged, ranked):
        values[parsed[str(found.measure)]][found.query_id] = float(found.value)
    return values


def title(measure: str) -> str:
    """How a measure is headed in tables."""
    if measure.startswith("Success@"):
        return f"hit@{measure.removeprefix('Success@')}"
    return TITLES.get(measure, measure)
