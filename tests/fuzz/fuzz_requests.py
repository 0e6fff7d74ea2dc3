"""Coverage-guided fuzzing of everything between the bytes of a request and those of its answer, with atheris.

    pip install -e '.[fuzz]'
    python tests/fuzz/fuzz_requests.py -max_total_time=600      # or any option of libFuzzer; a folder keeps the corpus

The first two bytes of an input choose content type, Accept, path and hosting, the rest is the body. The dialects'
examples are the seeds, their keys the dictionary. It ends with the input that made a crash, a 500, or an answer that is
not JSON, in `crash-*`. https://github.com/google/atheris
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[2] / "inference"))

with atheris.instrument_imports(include=["rerank_engine"]):
    from rerank_engine.dialects import DIALECTS
    from rerank_engine.dialects.native import _OPTIONS as NATIVE
    from rerank_engine.dialects.recognition import _ALONE, _OPTIONS
    from rerank_engine.hosting import Hosting
    from rerank_engine.reranker.ranking import rank
    from rerank_engine.service.service import Service
    from rerank_engine.settings import Settings
    from rerank_engine.types import Prepared, PreparedDocument, RerankOptions, RerankResult, Timings, TokenPair

TYPES = ("application/json", "application/jsonlines", "text/csv", "application/json; charset=utf-16", None, "text/html")
ACCEPTS = (None, "*/*", "application/jsonlines;q=0.5, application/json", "text/csv")
PATHS = ("/invocations", "/v2/rerank", "/score", None)
EXPECTED = (200, 400, 406, 413, 415, 422)


class Engine:
    """Tokens are characters, the logit of a pair is a tenth of its length."""

    model_name = "fake/model"

    def prepare(self, query: str, documents: Sequence[str], options: RerankOptions) -> Prepared:
        pairs = [TokenPair([ord(sign) for sign in query + text], len(text), False) for text in documents]
        read = [PreparedDocument(range(at, at + 1), len(text), False) for at, text in enumerate(documents)]
        return Prepared(pairs, read, options, len(query), False, 0.0)

    def forward(self, token_id_lists: Sequence[Sequence[int]], /) -> list[float]:
        return [len(ids) / 10 for ids in token_id_lists]

    def finish(self, prepared: Prepared, logits: Sequence[float], timings: Timings) -> RerankResult:
        return rank(prepared, logits, timings)


SERVICES = [
    Service(Engine(), Settings(cache_entries=8, max_response_bytes=4096), hosting=Hosting(batch=batch))
    for batch in (False, True)
]


def check(data: bytes) -> None:
    """Answer one input; an AssertionError, or whatever the service raises, is a finding."""
    choice, body = int.from_bytes(data[:2], "little"), data[2:]
    content_type = TYPES[choice % len(TYPES)]
    accept, path = ACCEPTS[choice // 8 % len(ACCEPTS)], PATHS[choice // 32 % len(PATHS)]

    reply = SERVICES[choice // 128 % 2].handle(body, content_type, accept, "caller=a", path)

    assert reply.status in EXPECTED, reply
    answers = reply.body.split(b"\n")
    for answer in answers:
        json.loads(answer)
    if reply.status == 200 and content_type in ("application/jsonlines", "text/csv"):
        lines = body.split(b"\n")
        assert len(answers) == len(lines) - (len(lines) > 1 and not lines[-1]), reply


def main(arguments: list[str]) -> int:
    """Fuzz until libFuzzer's options say that it is enough, in a process of its own: libFuzzer ends it where it is."""
    if any(one.startswith("-dict=") for one in arguments):
        atheris.Setup([sys.argv[0], *arguments], check)
        atheris.Fuzz()
    with tempfile.TemporaryDirectory() as folder:
        seeds, words, corpus = (Path(folder, name) for name in ("seeds", "words", "corpus"))
        seeds.mkdir()
        corpus.mkdir()
        for number, dialect in enumerate(DIALECTS):
            (seeds / str(number)).write_bytes(b"\0\0" + dialect.example.encode())
        keys = dict.fromkeys((*_ALONE, *_OPTIONS, *NATIVE, "query", "documents", "text", "text_pair"))
        words.write_text("".join(f'"\\"{key}\\":"\n' for key in keys))
        kept = [] if any(not one.startswith("-") for one in arguments) else [str(corpus)]
        command = [sys.executable, __file__, f"-dict={words}", *arguments, *kept, str(seeds)]
        return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
