"""moto as a control plane that CDK, CloudFormation and SageMaker users recognise.

`install()` changes moto in place, for this process. What it adds:

* `cloudformation_api`, `operations`, `engine`: CloudFormation of our own on moto's wire: change sets, dependency order,
  replacements that reach whatever refers to them, rollback, exports; `handlers/` carries out each resource type.
* `sagemaker_api`: the fields moto drops, AWS's checks, UpdateEndpoint, StopTransformJob, status transitions, and the
  data plane behind endpoints and transform jobs.
* `s3_api`: conditions in bucket policies, no access logs. `additions`: operations moto lacks.

What is not carried out is refused, or told in the log and in the stack's events; nothing is skipped in silence.
"""

from rerank_local.control import additions, cloudformation_api, s3_api, sagemaker_api

MOTO_VERSION = "5.2.5"  # the internals we replace are this version's


def install() -> None:
    """Puts our control plane into moto; idempotent. Works under `mock_aws` and in a server (`loopback.serve_at`)."""
    global _installed
    if _installed:
        return
    cloudformation_api.install()
    sagemaker_api.install()
    s3_api.install()
    additions.install()
    _installed = True


_installed = False
