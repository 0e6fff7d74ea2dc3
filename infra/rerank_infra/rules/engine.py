"""The container: its image, and the settings written into its environment."""

from collections.abc import Iterator

from rerank_engine.errors import SettingsError
from rerank_engine.settings import Settings
from rerank_infra.deployment import Deployment, environment_text
from rerank_infra.errors import Problem

_SET_BY_THE_IMAGE = {"RERANK_BIND_HOST", "RERANK_MODEL_DIR"}
# Of real-time calls: seconds to answer (60), seconds between SIGTERM and SIGKILL (30), bytes of a body.
_REALTIME_LIMITS = {"RERANK_DEADLINE_SECONDS": 59, "RERANK_DRAIN_SECONDS": 29, "RERANK_MAX_BODY_BYTES": 6_291_456}


def _image(d: Deployment) -> Iterator[Problem]:
    image = d.container.image
    if not d.uses_hf_image and (".dkr.ecr." not in image or "/" not in image):
        yield Problem(
            "container.image",
            image,
            "It is neither hf nor an ECR image.",
            'Write "hf", or <account>.dkr.ecr.<region>.amazonaws.com/<repository>:<tag>.',
        )
    elif not d.uses_hf_image and (":" not in image or image.endswith(":latest")):
        yield Problem(
            "container.image",
            image,
            "A tag that moves leaves the endpoint on the old image.",
            "Pin a tag that names one build, or a digest: <repository>@sha256:….",
        )


def _settings(d: Deployment) -> Iterator[Problem]:
    for name, value in d.settings.items():
        key = f"settings.{name}"
        if name in _SET_BY_THE_IMAGE:
            yield Problem(key, value, "The container image sets it.", "Leave it out.")
            continue
        if not name.startswith("RERANK_"):
            yield Problem(key, value, "Not a setting of the engine.", "The README lists them: RERANK_….")
            continue
        try:
            Settings.from_env({name: environment_text(value)})
        except SettingsError as error:
            reason = str(error).split(". ", 1)[-1]
            yield Problem(key, value, reason, error.tip or "The README's table of settings has type and bounds.")
            continue
        limit = _REALTIME_LIMITS.get(name)
        if limit is not None and float(value) > limit:
            yield Problem(key, value, "SageMaker's own limit comes first.", f"Write {limit:,} or less.")
    if str(d.settings.get("RERANK_DEVICE", "auto")) == "cuda" and not d.instance.has_gpu:
        yield Problem("settings.RERANK_DEVICE", "cuda", f"{d.instance.value} has no GPU.", 'Write "auto".')


RULES = (_image, _settings)
