"""What `rerank package SOURCE` names: a folder, a model on the hub, or the demo."""

from dataclasses import dataclass
from pathlib import Path

from rerank_bundle import demo, hub
from rerank_bundle.errors import SourceError
from rerank_bundle.known_models import KnownModels, shipped

DEMO, RANDOM = "demo", "demo-random"


@dataclass(frozen=True, slots=True)
class Source:
    """A checkpoint folder, and where it came from.

    Attributes:
        folder: the checkpoint's files.
        id: hub id, "demo" or "demo-random"; None for a folder.
        name: the name that comes with it; None for a folder.
        revision: full commit sha; None where there is none.
    """

    folder: Path
    id: str | None = None
    name: str | None = None
    revision: str | None = None


def resolve(
    text: str,
    *,
    revision: str | None,
    work: Path,
    downloads: Path,
    known: KnownModels | None = None,
    download: hub.Download | None = None,
) -> Source:
    """The source that `text` names, fetched or made where it is not a folder yet.

    `demo` is always the demo (a folder of that name is ./demo), and `demo-random` the same shape with random weights;
    then a folder that exists; then a hub id.

    Args:
        work: folder where the random checkpoint is written.
        downloads: folder under which each commit of a hub model has a folder of its own; kept for the next time.
        download: see `hub.fetch`.

    Raises:
        BundleError: it is none of these, or the demo is not there or cannot be made.
        HubError: it is a hub id that is not pinned or cannot be fetched.
    """
    if text in (DEMO, RANDOM):
        if revision is not None:
            raise SourceError("The demo checkpoint has no revision: it is this checkout's.")
        if text == RANDOM:
            return Source(demo.make_demo_checkpoint(work / RANDOM), id=RANDOM, name=demo.RANDOM_NAME)
        return Source(demo.demo_checkpoint(), id=DEMO, name=demo.NAME)
    folder = Path(text).expanduser()
    if text and folder.is_dir():
        return Source(folder, revision=revision)
    found = (
        None if text.startswith((".", "/", "~")) else hub.parse_id(text, revision=revision, known=known or shipped())
    )
    if found is None:
        raise SourceError(
            f"{text!r} is no checkpoint folder, and not of the form of a hub id either.",
            tip="Name a folder (./checkpoint), a hub id (jinaai/jina-reranker-v1-tiny-en), or demo.",
        )
    hub.fetch(found, downloads / found.folder_name, download=download)
    return Source(downloads / found.folder_name, id=found.id, name=found.id, revision=found.revision)
