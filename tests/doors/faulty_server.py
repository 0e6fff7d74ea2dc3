"""Our server around an engine that fails on demand: signs in a document say how. A line on stdin ends all waiting."""

import sys
import threading
from collections.abc import Sequence

from rerank_engine.errors import NotFinite
from rerank_engine.reranker.ranking import rank
from rerank_engine.server.run import main
from rerank_engine.types import Prepared, PreparedDocument, RerankOptions, RerankResult, Timings, TokenPair

WAIT, DIE, OOM, OOM_TOGETHER, NAN = (ord(sign) for sign in "⌛✝▣▤☠")
GO = threading.Event()


class FaultyEngine:
    """Tokens are characters, the logit of a pair is a tenth of its length."""

    model_name = "faulty"

    def prepare(self, query: str, documents: Sequence[str], options: RerankOptions) -> Prepared:
        pairs = [TokenPair([ord(sign) for sign in query + text], len(text), False) for text in documents]
        read = [PreparedDocument(range(at, at + 1), len(text), False) for at, text in enumerate(documents)]
        return Prepared(pairs, read, options, len(query), False, 0.0)

    def forward(self, token_id_lists: Sequence[Sequence[int]], /) -> list[float]:
        signs = {sign for ids in token_id_lists for sign in ids}
        if WAIT in signs:
            GO.wait()
        if DIE in signs:
            raise SystemExit("a library called exit")
        if OOM in signs or (OOM_TOGETHER in signs and len(token_id_lists) > 1):
            raise MemoryError
        if NAN in signs:
            raise NotFinite("1 of the scores is NaN.")
        return [len(ids) / 10 for ids in token_id_lists]

    def finish(self, prepared: Prepared, logits: Sequence[float], timings: Timings) -> RerankResult:
        return rank(prepared, logits, timings)

    def check_canary(self) -> float:
        return 0.0


def listen_to_stdin() -> None:
    for _ in sys.stdin:
        GO.set()


if __name__ == "__main__":
    threading.Thread(target=listen_to_stdin, daemon=True).start()
    sys.exit(main([], load=FaultyEngine))
