"""Figures that others published, for orientation: not measured here, and the command that would measure them."""

from dataclasses import dataclass

SOURCE = "model card of jinaai/jina-reranker-v1-tiny-en"


@dataclass(frozen=True, slots=True)
class Reported:
    """A published figure.

    Attributes:
        model: id on the hub.
        measure: what was measured, on what.
        value: as published.
        command: what would reproduce it where weights and data can be downloaded.
    """

    model: str
    measure: str
    value: str
    command: str


def _beir(model: str, value: str, revision: str) -> Reported:
    bundle = f"dist/{model.partition('/')[2]}.tar.gz"
    command = (
        f"rerank package {model} --revision {revision} --output {bundle} && "
        f"rerank evaluate beir/*/ --model {bundle} --chunk-words 0"
    )
    return Reported(model, "nDCG@10 on BEIR, mean", value, command)


_TINY = "aca45de6945b5dc6399abcd2a9c55ded5dc9111f"

REPORTED = (
    _beir("jinaai/jina-reranker-v1-base-en", "52.45", "a05700294977fa3ecadc070b1f5b2a76e0bf1eef"),
    _beir("jinaai/jina-reranker-v1-turbo-en", "49.60", "b8c14f4e723d9e0aab4732a7b7b93741eeeb77c2"),
    _beir("jinaai/jina-reranker-v1-tiny-en", "48.54", _TINY),
    _beir("BAAI/bge-reranker-base", "47.89", "2cfc18c9415c912f9d8155881c133215df768a70"),
    _beir("mixedbread-ai/mxbai-rerank-base-v1", "49.19", "800f24c113213a187e65bde9db00c15a2bb12738"),
    Reported(
        "jinaai/jina-reranker-v1-tiny-en",
        "hit rate, LlamaIndex RAG benchmark",
        "83–85 %",
        f"rerank package jinaai/jina-reranker-v1-tiny-en --revision {_TINY} --output dist/tiny.tar.gz && "
        "rerank evaluate COLLECTION --model dist/tiny.tar.gz --top 10",
    ),
)
