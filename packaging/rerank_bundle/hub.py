"""Hub ids: `org/name[@revision]` → a folder with the checkpoint's files, at exactly one commit."""

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rerank_bundle import layout
from rerank_bundle.errors import HubError
from rerank_bundle.known_models import KnownModels

_ID = re.compile(r"(?P<id>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@(?P<revision>.*))?")
_COMMIT = re.compile(r"[0-9a-f]{40}")
# Weights in shards are fetched as far as their index: enough to say why they cannot be packaged.
PATTERNS = (*layout.REQUIRED, *layout.OPTIONAL, f"{layout.WEIGHTS}.index.json")

# Kinds of errors, of the library, its HTTP client and Python, that mean there is no network or no hub behind it.
_UNREACHABLE = frozenset(
    {"LocalEntryNotFoundError", "OfflineModeIsEnabled", "ConnectionError", "TransportError", "TimeoutError"}
)

Download = Callable[..., object]


@dataclass(frozen=True, slots=True)
class HubSource:
    """A checkpoint on the hub, pinned to a full commit sha."""

    id: str
    revision: str

    @property
    def folder_name(self) -> str:
        """A folder name of its own for each commit."""
        return f"{self.id.replace('/', '--')}@{self.revision[:12]}"


def parse_id(text: str, *, revision: str | None, known: KnownModels) -> HubSource | None:
    """The hub source that `text` names; None when it has not the form of a hub id.

    The revision is the one after `@`, else `revision`, else the one pinned in the table of known models.

    Raises:
        HubError: no revision is known, two different ones are given, or it is not a full commit sha.
    """
    match = _ID.fullmatch(text)
    if match is None:
        return None
    model = known.named(match["id"])
    name = model.name if model is not None else match["id"]
    written = match["revision"]
    if written is not None and revision is not None and written != revision:
        raise HubError(f"Two revisions of {name} are given: {written} and {revision}.")
    chosen = written if written is not None else revision
    if chosen is None:
        chosen = model.revision if model is not None else None
    if chosen is None:
        raise HubError(
            f"{name} is not pinned: a branch such as main can change under a deployment.",
            tip=f"Pass the full commit sha from the model page's history: rerank package {name} --revision SHA.",
        )
    check_revision(chosen)
    return HubSource(name, chosen)


def check_revision(revision: str) -> None:
    """Accepts a full commit sha only.

    Raises:
        HubError: it is a branch, a tag or a shortened sha.
    """
    if _COMMIT.fullmatch(revision) is None:
        raise HubError(
            f"Revision {revision!r} is not a full commit sha (40 hexadecimal digits).",
            tip="Branches, tags and shortened shas can move; copy the full sha from the model page's history.",
        )


def fetch(source: HubSource, folder: Path, *, download: Download | None = None) -> Path:
    """The files of `source` in `folder`, as real files; what is there already is not fetched again.

    Args:
        download: stands in for `huggingface_hub.snapshot_download`, with its keyword arguments.

    Raises:
        HubError: huggingface_hub is not installed, or the hub said no or could not be reached.
    """
    snapshot_download = download or _snapshot_download()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        snapshot_download(repo_id=source.id, revision=source.revision, local_dir=folder, allow_patterns=list(PATTERNS))
    except Exception as error:  # the library raises its own kinds, its HTTP client's and OSError alike
        for created in (folder, folder.parent):
            with suppress(OSError):  # not empty: what was fetched is kept for the next try
                created.rmdir()
        raise _explained(source, error) from error
    return folder


def _snapshot_download() -> Download:
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise HubError(
            "huggingface_hub is not installed; it fetches checkpoints from the hub.",
            tip="pip install huggingface_hub (the kit's extra `package` has it), or name a checkpoint folder.",
        ) from error
    found: Download = snapshot_download
    return found


def _explained(source: HubSource, error: Exception) -> HubError:
    """The library's error, by the name of its kind: its classes have moved between releases."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if "GatedRepoError" in kinds:
        return HubError(
            f"{source.id} is gated: its owner wants its terms accepted first.",
            tip=f"Accept them on https://huggingface.co/{source.id}, then `hf auth login` (or set HF_TOKEN).",
        )
    if "RevisionNotFoundError" in kinds:
        return HubError(f"{source.id} has no commit {source.revision}.", tip="Copy the sha from the model's history.")
    if "RepositoryNotFoundError" in kinds:
        return HubError(
            f"{source.id} was not found on the hub (or it is private).",
            tip="Check the spelling; for a private model `hf auth login` (or set HF_TOKEN). A folder starts with ./",
        )
    if kinds & _UNREACHABLE:
        return HubError(
            f"{source.id} could not be fetched: this machine is offline or the hub cannot be reached.",
            tip="Fetch the files elsewhere, copy the folder here and run: "
            f"rerank package ./FOLDER --name {source.id} --revision {source.revision}",
        )
    return HubError(f"{source.id} could not be fetched: {said}", tip="Try again, or package a downloaded folder.")
