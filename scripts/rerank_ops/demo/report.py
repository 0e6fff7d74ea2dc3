"""What the demo shows: rankings, batch output, timings, and where to go from here."""

from collections.abc import Mapping, Sequence
from typing import Any

from rerank_ops import console
from rerank_ops.demo.data import Passage, Question

Ranking = Sequence[tuple[int, float]]  # (index of the passage, score), best first
_SHOWN = 3

MEANINGLESS = "The model of this demo has random weights: its scores are real arithmetic, but carry NO MEANING."

KEPT = """\
Left running. To play with it:
  . .venv/bin/activate
  rerank local status
  rerank invoke --local --query "what scales to zero?" "async endpoints" "real-time endpoints"
  rerank transform start --local requests.jsonl --follow
  rerank local down                          stops everything"""

NOT_KEPT = "Everything was taken down. To leave it running: rerank demo --keep (or scripts/run --keep)"

ON_AN_ACCOUNT = """\
The same on an account (`rerank doctor` says what is missing):
  . .venv/bin/activate
  rerank package jinaai/jina-reranker-v1-tiny-en
  cdk bootstrap && cdk deploy --all -c deployment=sandbox
  rerank invoke --query "what scales to zero?" "async endpoints" "real-time endpoints"
  cdk destroy --all -c deployment=sandbox    an endpoint costs money for as long as it exists"""


def rankings(
    questions: Sequence[Question], ranked: Sequence[Ranking], passages: Sequence[Passage], *, meaningless: bool
) -> None:
    """The best passages of the first question, the best one of each other, and how many of these are answers."""
    if meaningless:
        print(MEANINGLESS)
    first = [(rank, score, passages[i].id, passages[i].text) for rank, (i, score) in enumerate(ranked[0], start=1)]
    console.table(("rank", "score", "passage", "text"), first[:_SHOWN], title=f"{questions[0].text}")
    best = [
        (question, passages[ranking[0][0]].id, ranking[0][1])
        for question, ranking in zip(questions, ranked, strict=True)
    ]
    rows = [(question.text, found, score, _verdict(question, found)) for question, found, score in best[1:]]
    console.table(("question", "best passage", "score", "answers it"), rows)
    answered = sum(found in question.relevant for question, found, _ in best)
    print(f"The best of {len(passages)} passages answers {answered} of the {len(best)} questions.")


def as_json(
    questions: Sequence[Question], ranked: Sequence[Ranking], passages: Sequence[Passage], *, meaningless: bool
) -> dict[str, Any]:
    """The rankings for programs: every passage of every question, best first, and how many bests are answers."""
    listed = [
        {
            "question": question.text,
            "answered_by": list(question.relevant),
            "ranking": [{"passage": passages[i].id, "score": score} for i, score in ranking],
            "answers": passages[ranking[0][0]].id in question.relevant,
        }
        for question, ranking in zip(questions, ranked, strict=True)
    ]
    return {
        "questions": listed,
        "answered": sum(bool(entry["answers"]) for entry in listed),
        "meaningless_scores": meaningless,
    }


def _verdict(question: Question, found: str) -> str:
    return "yes" if found in question.relevant else "no"


def outputs(found: Mapping[str, Mapping[str, str]]) -> None:
    """What the stacks tell other programs; exports between the stacks are left out."""
    rows = [
        (stack, name, value)
        for stack, values in found.items()
        for name, value in sorted(values.items())
        if not name.startswith("Exports")
    ]
    console.table(("stack", "output", "value"), rows)


def batch(lines: Sequence[str], agreement: float) -> None:
    """The first lines the job wrote, cut to a terminal's width, and how they compare with the endpoint's answers."""
    for line in lines[:_SHOWN]:
        print(line if len(line) <= console.PIPE_WIDTH else line[: console.PIPE_WIDTH - 1] + "…")
    print(f"… {len(lines)} lines; largest difference to the endpoint's scores: {agreement:.1e}")


def timings(seconds: Mapping[str, float]) -> None:
    """Wall time of each step."""
    rows = [*seconds.items(), ("total", sum(seconds.values()))]
    console.table(("step", "seconds"), [(name, f"{value:.1f}") for name, value in rows])
