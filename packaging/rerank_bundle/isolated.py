"""Scores pairs with the code that a bundle carries, in a clean Python process.

`python -I` ignores the environment and the working directory, so that the bundle's own `code/` is what is imported,
and not a checkout that happens to be installed; what it needs beyond that are torch, tokenizers, safetensors and numpy.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rerank_bundle.errors import BundleError, ScoringError, SettingError, TokenizerMismatch

SCRIPT = Path(__file__).with_name("score_script.py")
TIMEOUT_S = 900.0
# All that the child sees of this environment: what the loader of shared libraries and the system itself need.
KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "TMPDIR", "TEMP", "SYSTEMROOT", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
_STDERR_LINES = 12


@dataclass(frozen=True, slots=True)
class Scores:
    """What the bundle's code answered.

    Attributes:
        family: model family that it recognised.
        max_length: longest pair it reads, in tokens.
        settings: the given settings as it understood them, defaults left out.
        precision: arithmetic that it was computed in.
        logits: per model folder one raw logit per pair, computed on the CPU.
        tokenizer: what tokenizer_config.json has otherwise than tokenizer.json.
    """

    family: str
    max_length: int
    settings: dict[str, str]
    precision: str
    logits: tuple[tuple[float, ...], ...]
    tokenizer: tuple[str, ...] = ()


def score_in_isolation(
    code: Path,
    models: Sequence[Path],
    pairs: Sequence[tuple[str, str]],
    *,
    settings: Mapping[str, str],
    precision: str = "fp32",
    one_tokenizer: bool = False,
    python: str = sys.executable,
    timeout_s: float = TIMEOUT_S,
) -> Scores:
    """Score `pairs` with each of the model folders `models`, by the engine in the folder `code`.

    Args:
        settings: RERANK_* variables, checked by that engine; the scoring itself uses the reference settings.
        precision: RERANK_PRECISION of the scoring.
        one_tokenizer: refuse a tokenizer of which transformers would read other token ids.

    Raises:
        TokenizerMismatch: as `one_tokenizer` says.
        SettingError: the engine knows no such setting, or refuses its value.
        ScoringError: it could not be imported, could not load a model or score a pair, or took too long.
    """
    request = {
        "code": str(code.resolve()),
        "models": [str(folder.resolve()) for folder in models],
        "pairs": [list(pair) for pair in pairs],
        "settings": dict(settings),
        "precision": precision,
        "one_tokenizer": one_tokenizer,
    }
    reply = _run(request, python, timeout_s)
    if "error" in reply:
        raise _explained(reply["error"])
    return Scores(
        family=reply["family"],
        max_length=reply["max_length"],
        settings=reply["settings"],
        precision=reply["precision"],
        logits=tuple(tuple(logits) for logits in reply["logits"]),
        tokenizer=tuple(reply["tokenizer"]),
    )


def _run(request: Mapping[str, Any], python: str, timeout_s: float) -> dict[str, Any]:
    # -I: isolated; -B: no __pycache__ in the unpacked bundle.
    command = [python, "-I", "-B", str(SCRIPT)]
    with tempfile.TemporaryDirectory(prefix="rerank-score-") as nowhere:
        environment = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
        environment |= {"HOME": nowhere, "CUDA_VISIBLE_DEVICES": ""}
        try:
            done = subprocess.run(
                command,
                input=json.dumps(request),
                capture_output=True,
                text=True,
                encoding="utf-8",
                errors="replace",
                env=environment,
                cwd=nowhere,
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ScoringError(f"The bundle's code did not score its pairs within {timeout_s:g} s.") from error
        except OSError as error:
            raise ScoringError(f"{python} could not be started: {error.strerror}.") from error
    try:
        reply = json.loads(done.stdout)
    except ValueError:
        last = "\n".join(done.stderr.strip().splitlines()[-_STDERR_LINES:])
        raise ScoringError(f"The bundle's code ended with exit code {done.returncode} and no score.\n{last}") from None
    return dict(reply)


def _explained(error: Mapping[str, Any]) -> BundleError:
    kind, message, tip = error["kind"], error["message"], error["tip"]
    if kind == "TokenizerMismatch":
        return TokenizerMismatch(message, tip=tip)
    if kind == "SettingsError":
        return SettingError(message, tip=tip)
    if kind == "ModuleNotFoundError":
        return ScoringError(
            f"The bundle's code cannot run here: {message}.",
            tip="pip install torch numpy tokenizers safetensors (the kit's extra `engine` has them).",
        )
    said = message if kind.endswith("Error") and tip else f"{kind}: {message}"
    return ScoringError(f"The bundle's code cannot score with this model. {said}", tip=tip)
