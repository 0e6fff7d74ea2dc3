"""The containers' environments, written from Settings. Pure.

AWS's Hugging Face container runs the Multi Model Server, whose limits come from its own variables
(sagemaker-inference 1.10.1, multi-model-server 1.1.11). Our own image reads RERANK_* only.
"""

import math
from dataclasses import replace

from rerank_engine.settings import Settings
from rerank_infra.deployment import Deployment

_MIB = 2**20
_LOG_LEVELS = {"debug": "10", "info": "20", "warning": "30", "error": "40"}
_ANSWER_FIRST_S = 5  # the engine gives up that much before SageMaker does, and can still say why


def realtime(deployment: Deployment) -> dict[str, str]:
    """Environment of the endpoint's containers."""
    settings = deployment.engine_settings()
    return settings.to_env() | (_model_server(settings, timeout_s=60) if deployment.uses_hf_image else {})


def batch(deployment: Deployment) -> dict[str, str]:
    """Environment of the batch jobs' containers: larger payloads and longer deadlines."""
    payload_bytes, timeout_s = deployment.batch.max_payload_mb * _MIB, deployment.batch.timeout_seconds
    settings = replace(
        deployment.engine_settings(),
        max_body_bytes=payload_bytes,
        max_response_bytes=payload_bytes,
        deadline_seconds=float(timeout_s - _ANSWER_FIRST_S),
    )
    return settings.to_env() | (_model_server(settings, timeout_s=timeout_s) if deployment.uses_hf_image else {})


def _model_server(settings: Settings, *, timeout_s: int) -> dict[str, str]:
    # One megabyte of room: a body over the limit gets the engine's own 413 with a reason, not the server's empty one.
    request_mb = math.ceil(settings.max_body_bytes / _MIB) + 1
    response_bytes = settings.max_response_bytes + _MIB
    return {
        "SAGEMAKER_PROGRAM": "inference.py",
        "SAGEMAKER_CONTAINER_LOG_LEVEL": _LOG_LEVELS[settings.log_level],
        "SAGEMAKER_MODEL_SERVER_WORKERS": "1",  # the default loads one copy of the model per vCPU
        "SAGEMAKER_MODEL_SERVER_TIMEOUT": str(timeout_s),
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": str(request_mb),
        "MMS_MAX_RESPONSE_SIZE": str(response_bytes),
    }
