"""What files hold, as sha256: by it prepared data, embeddings and states are known to belong to a run.

Sizes and dates would not do: a shuffled file is as large as before, and a copied one is newer.
"""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

# Of a folder, what a model or a collection is made of; a README may change.
KINDS = (".json", ".jsonl", ".gz", ".safetensors", ".tsv", ".txt")
_BLOCK = 1 << 20


def digest_of(path: Path) -> str:
    """sha256 of a file, or of the names and contents of a folder's files of the `KINDS`; "" where there is nothing."""
    if path.is_dir():
        found = sorted(file for file in path.rglob("*") if file.suffix in KINDS and file.is_file())
        named = [(file.relative_to(path).as_posix(), digest_of(file)) for file in found]
        return hashlib.sha256(repr(named).encode()).hexdigest()
    if not path.is_file():
        return ""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def digests_of(paths: Iterable[Path]) -> dict[str, str]:
    """The digest of each of `paths`, by its name."""
    return {str(path): digest_of(path) for path in paths}


def digest_of_texts(texts: Sequence[str]) -> str:
    """sha256 of texts in their order."""
    digest = hashlib.sha256()
    for text in texts:
        encoded = text.encode()
        digest.update(len(encoded).to_bytes(8, "little"))
        digest.update(encoded)
    return digest.hexdigest()
