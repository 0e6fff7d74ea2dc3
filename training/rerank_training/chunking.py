"""Long documents as passages: windows of words that overlap, each under its document's title. Pure."""

from dataclasses import dataclass

from rerank_training.beir import Document


@dataclass(frozen=True, slots=True)
class Chunking:
    """How documents are cut; a document's score is the maximum over its passages.

    Attributes:
        words: longest passage, in words; 0 keeps documents whole.
        overlap: words that neighbours share.
        title: whether each passage begins with the document's title.
    """

    words: int = 180
    overlap: int = 45
    title: bool = True

    def __str__(self) -> str:
        if not self.words:
            return "whole documents"
        return f"passages of {self.words} words, {self.overlap} shared, max" + ("" if self.title else ", no titles")


def passages(document: Document, chunking: Chunking) -> list[str]:
    """The passages of a document: at least one, every word in at least one of them, none inside another.

    The last window is moved back to end with the document, so that no passage is a short rest.
    """
    head = f"{document.title}\n" if chunking.title and document.title else ""
    words = document.text.split()
    if not chunking.words or len(words) <= chunking.words:
        return [head + document.text]
    step = max(1, chunking.words - chunking.overlap)
    starts = [*range(0, len(words) - chunking.words, step), len(words) - chunking.words]
    return [head + " ".join(words[start : start + chunking.words]) for start in starts]
