"""The containers' environments."""

from collections.abc import Callable

from rerank_engine.settings import Settings
from rerank_infra import environment
from rerank_infra.deployment import Deployment

Load = Callable[..., Deployment]
OWN_IMAGE = {"image": "111122223333.dkr.ecr.us-east-1.amazonaws.com/reranker:1.0.0"}


def test_settings_survive_the_way_through_the_environment(loaded: Load) -> None:
    """The container reads back exactly the settings the deployment wrote."""
    deployment = loaded("sandbox", settings={"RERANK_TOKEN_BUDGET": 4096, "RERANK_LOG_TEXT": True})

    assert Settings(token_budget=4096, log_text=True) == Settings.from_env(environment.realtime(deployment))


def test_one_worker_loads_one_copy_of_the_model(loaded: Load) -> None:
    """AWS's container is told to run one worker, with room for the engine's own 413 above its body limit."""
    env = environment.realtime(loaded("sandbox"))

    assert "1" == env["SAGEMAKER_MODEL_SERVER_WORKERS"]
    assert "inference.py" == env["SAGEMAKER_PROGRAM"]
    assert int(env["SAGEMAKER_MAX_PAYLOAD_IN_MB"]) * 2**20 > Settings().max_body_bytes
    assert int(env["MMS_MAX_RESPONSE_SIZE"]) > Settings().max_response_bytes


def test_batch_jobs_get_larger_payloads_and_longer_deadlines(loaded: Load) -> None:
    """A batch container accepts what max_payload_mb says and answers before SageMaker gives up."""
    deployment = loaded("sandbox", batch={"max_payload_mb": 25, "timeout_seconds": 900})
    env = environment.batch(deployment)
    settings = Settings.from_env(env)

    assert (25 * 2**20, 25 * 2**20) == (settings.max_body_bytes, settings.max_response_bytes)
    assert 60 < settings.deadline_seconds < 900
    assert "900" == env["SAGEMAKER_MODEL_SERVER_TIMEOUT"]
    assert int(env["MMS_MAX_RESPONSE_SIZE"]) > 25 * 2**20


def test_our_own_image_reads_settings_only(loaded: Load) -> None:
    """Variables of AWS's container are not written for another one."""
    deployment = loaded("sandbox", container=OWN_IMAGE, settings={"RERANK_MAX_DOCUMENTS": 100})

    assert {"RERANK_MAX_DOCUMENTS": "100"} == environment.realtime(deployment)
