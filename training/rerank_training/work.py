"""The work folder of a run: which data it was prepared from, and whether that is still the data at hand."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rerank_training.errors import DataError
from rerank_training.state import FILE as STATE
from rerank_training.state import fingerprint_of

MARKER = "prepared.json"
EARLIER = "fingerprint"  # what earlier versions left: it told files apart by their sizes
FORMAT = 2
# What preparing leaves there, embeddings aside: those say themselves what they were made of.
PARTS = ("lists.npz", "lexicon.npz", "tokenizer.json")


def claim(work: Path, options: Mapping[str, Any], inputs: Mapping[str, str]) -> tuple[str, str]:
    """Take `work` for data of these options and inputs.

    What was prepared there from others is removed, because it would teach the wrong lists, unless a state was trained
    on it: that is refused.

    Args:
        work: the folder; made if absent.
        options: by name, what decides what is prepared.
        inputs: the digest of each file and folder that is read.

    Returns:
        The fingerprint of options and inputs, and why what was there is prepared anew ("" where it is not).

    Raises:
        DataError: a state in `work` was trained on other data, or its files are of an unknown run.
    """
    wanted = {"format": FORMAT, "options": fingerprint_of(options), "inputs": dict(inputs)}
    why = _mismatch(work, wanted)
    present = [name for name in PARTS if (work / name).exists()]
    if why and (work / STATE).exists():
        raise DataError(
            f"{work} holds the state of a run that cannot go on: {why}.",
            tip="Give the run what it was started with, name another --output, or delete the folder to start over.",
        )
    if not (work / MARKER).exists() and not (work / EARLIER).exists() and present:
        raise DataError(
            f"{work} holds {', '.join(present)}, which no run left there.", tip="Name another folder with --work."
        )
    if why:
        for name in (*PARTS, EARLIER, MARKER):
            (work / name).unlink(missing_ok=True)
    work.mkdir(parents=True, exist_ok=True)
    if not (work / MARKER).exists():
        part = work / f"{MARKER}.part"
        part.write_text(json.dumps(wanted, indent=1) + "\n", encoding="utf-8")
        part.replace(work / MARKER)
    return fingerprint_of(wanted), why


def _mismatch(work: Path, wanted: Mapping[str, Any]) -> str:
    """What differs between what `work` was prepared from and what is wanted; "" where nothing does."""
    marker = work / MARKER
    if not marker.exists():
        earlier = (work / EARLIER).exists()
        return "an earlier version of this kit prepared it, which told files apart by their sizes" if earlier else ""
    try:
        found = json.loads(marker.read_text(encoding="utf-8"))
        if found["format"] != wanted["format"]:
            return "another version of this kit prepared it"
        before, now = found["inputs"], wanted["inputs"]
        changed = [name for name in now if name in before and before[name] != now[name]]
        if changed:
            return f"{', '.join(changed)} {'holds' if len(changed) == 1 else 'hold'} other contents than at its start"
        return "" if found == wanted else "it was prepared with other options"
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return f"{MARKER} in it is damaged"
