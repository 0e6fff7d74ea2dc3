"""What SageMaker tells a container through its environment: where to listen, where the model is, realtime or batch.

Apart from settings.py because these names are AWS's, not ours. Documented at
https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-batch-code.html.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from rerank_engine.errors import CheckpointError, SettingsError
from rerank_engine.settings import PREFIX, Settings

_UNLIMITED_MB = 1024


@dataclass(frozen=True, slots=True)
class Hosting:
    """One container's circumstances.

    Attributes:
        port: port to listen on.
        base_dir: SageMaker's folder; the model is unpacked in `model` below it.
        batch: whether this container serves a batch transform job.
        max_payload_mb: batch jobs: the largest request in MiB; 0 when the job sets no limit.
        workers: AWS's toolkit: processes that serve this model side by side; None when its own default holds.
    """

    port: int = 8080
    base_dir: Path = Path("/opt/ml")
    batch: bool = False
    max_payload_mb: int = 6
    workers: int | None = None

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Self:
        """The circumstances an environment tells of.

        Raises:
            SettingsError: a number is not one.
        """
        return cls(
            port=_whole(env, "SAGEMAKER_BIND_TO_PORT", 8080),
            base_dir=Path(env.get("SAGEMAKER_BASE_DIR") or "/opt/ml"),
            batch=env.get("SAGEMAKER_BATCH", "").strip().lower() == "true",
            max_payload_mb=_whole(env, "SAGEMAKER_MAX_PAYLOAD_IN_MB", 6),
            workers=_whole(env, "SAGEMAKER_MODEL_SERVER_WORKERS", 0) or None,
        )

    def model_dir(self, settings: Settings) -> Path:
        """The model's folder: the setting, else SageMaker's."""
        return Path(settings.model_dir) if settings.model_dir else self.base_dir / "model"

    def max_body_bytes(self, settings: Settings) -> int:
        """The largest request body; a batch job's MaxPayloadInMB raises the setting, and 0 there means no limit."""
        if not self.batch:
            return settings.max_body_bytes
        return max(settings.max_body_bytes, (self.max_payload_mb or _UNLIMITED_MB) * 2**20)

    def deadline_s(self, settings: Settings) -> float:
        """Seconds one request may take; batch jobs bring their own timeout (up to 3,600 s) and retry on a 504."""
        return max(settings.deadline_seconds, 3600.0) if self.batch else settings.deadline_seconds


def read_settings(env: Mapping[str, str], model_dir: Path) -> Settings:
    """Settings of the bundle's manifest, overridden by the environment.

    Raises:
        SettingsError: a setting is unknown, malformed or out of bounds.
        CheckpointError: bundle.json is not readable.
    """
    ours = {name: value for name, value in env.items() if name.startswith(PREFIX)}
    return Settings.from_env(_bundled(model_dir / "bundle.json") | ours)


def _bundled(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    try:
        settings = json.loads(path.read_text(encoding="utf-8")).get("settings") or {}
        return {str(name): str(value) for name, value in settings.items()}
    except (OSError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}.", tip="Build the bundle again.") from error


def _whole(env: Mapping[str, str], name: str, default: int) -> int:
    raw = env.get(name, "").strip()
    if not raw:
        return default
    if not raw.isdecimal():
        raise SettingsError(f"{name} has value {raw!r}. Not a valid int.")
    return int(raw)
