"""Where to cut a long document: overlapping chunks that fit the window beside the query. Pure.

A document that fits is read whole: models with a window of 8,192 tokens were made for that, and one pass over it sees
what chunks would tear apart. Only what does not fit is split, into the longest chunks that do; its score is that of its
best chunk, as in Cohere's API (https://docs.cohere.com/docs/rerank-best-practices). Neighbours share a few sentences,
so that an answer on a cut stands whole in one of them.
"""

from dataclasses import dataclass

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class ChunkPlan:
    """How long documents are split, in tokens.

    Attributes:
        size: tokens of a chunk.
        overlap: tokens that a chunk shares with the one before it; less than `size`.
        most: chunks of one document.
    """

    size: int
    overlap: int
    most: int

    @property
    def reach(self) -> int:
        """Tokens of the longest document that is read to its end."""
        return self.size + (self.most - 1) * (self.size - self.overlap)

    def spans(self, tokens: int) -> list[Span]:
        """The chunks of a document of that many tokens, as (start, stop); what lies beyond `reach` is in none.

        The last chunk ends where the document does and is as long as the others: a short rest alone would lack context.
        """
        readable = min(tokens, self.reach)
        if readable <= self.size:
            return [(0, readable)]
        stride = self.size - self.overlap
        starts = [*range(0, readable - self.size, stride), readable - self.size]
        return [(start, start + self.size) for start in starts]


def plan(room: int, *, size: int, overlap: int, most: int) -> ChunkPlan:
    """A plan for documents that have `room` tokens beside the query.

    Args:
        room: what the query leaves of the window.
        size: wanted tokens of a chunk; 0 takes all the room there is.
        overlap: wanted tokens shared by neighbours; at most half a chunk is shared.
        most: chunks of one document.
    """
    fitting = max(1, min(size or room, room))
    return ChunkPlan(fitting, min(overlap, fitting // 2), most)
