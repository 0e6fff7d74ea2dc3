"""What the account has: credentials, bootstrap, the autoscaling role, quotas, the container image."""

from collections.abc import Iterator
from typing import Any

from rerank_ops.aws import Aws
from rerank_ops.checks.base import Finding, State, asking_aws, fail, ok, skip, warn

OLDEST_BOOTSTRAP = 21
SCALING_ROLE = "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
SCALING_SERVICE = "sagemaker.application-autoscaling.amazonaws.com"
_BRIEF = {"connect_timeout": 5, "read_timeout": 10, "retries": {"mode": "standard", "max_attempts": 2}}


def findings(aws: Aws, deployment: Any | None, region: str) -> Iterator[Finding]:
    """Everything about the account; `deployment` is a rerank_infra Deployment, None when its file could not be read."""
    who = credentials(aws)
    yield who
    if who.state is not State.OK:
        for name in ("bootstrap", "scaling role", "endpoint quota", "transform quota", "image"):
            yield skip(name, "needs working credentials")
        return
    yield bootstrap(aws, region)
    yield scaling_role(aws)
    if aws.local:
        for name in ("endpoint quota", "transform quota", "image"):
            yield skip(name, "the AWS on this machine has no quotas and pulls no image")
    elif deployment is None:
        for name in ("endpoint quota", "transform quota", "image"):
            yield skip(name, "needs a readable deployment file")
    else:
        need = max(deployment.endpoint.initial_instance_count, deployment.scaling.max_instances)
        yield quota(aws, deployment.endpoint.instance_type, "endpoint", need)
        yield quota(aws, deployment.batch.instance_type, "transform job", 1)
        yield image(aws, deployment, region)


def credentials(aws: Aws) -> Finding:
    """Who is calling."""
    from botocore.exceptions import BotoCoreError

    try:
        found = aws.session().get_credentials()
    except BotoCoreError as error:  # a profile that is not there, a file that cannot be read
        return fail("credentials", str(error), "Name another profile with AWS_PROFILE or --profile, or mend its file.")
    if found is None:
        return warn(
            "credentials",
            "none found: only the AWS on this machine can be used",
            "aws configure, aws sso login or AWS_PROFILE; not needed for `rerank local up`.",
        )

    def ask() -> Finding:
        who = aws.client("sts", **_BRIEF).get_caller_identity()
        return ok("credentials", f"{who['Arn']} in account {who['Account']}")

    return asking_aws("credentials", "sts:GetCallerIdentity", ask)


def bootstrap(aws: Aws, region: str) -> Finding:
    """The CDK's staging bucket and roles, by the version its stack publishes."""
    name = "bootstrap"

    def ask() -> Finding:
        ssm = aws.client("ssm", **_BRIEF)
        answer = ssm.get_parameters(Names=["/cdk-bootstrap/hnb659fds/version"])["Parameters"]
        if not answer:
            return fail(name, f"the CDK is not bootstrapped in {region}", f"cdk bootstrap aws://ACCOUNT/{region}")
        version = int(answer[0]["Value"])
        if version < OLDEST_BOOTSTRAP:
            return warn(name, f"version {version}", f"cdk bootstrap aws://ACCOUNT/{region} (updates it)")
        return ok(name, f"version {version}")

    return asking_aws(name, "ssm:GetParameters", ask)


def scaling_role(aws: Aws) -> Finding:
    """The service-linked role under which Application Auto Scaling changes instance counts."""
    name = "scaling role"

    def ask() -> Finding:
        iam = aws.client("iam", **_BRIEF)
        try:
            iam.get_role(RoleName=SCALING_ROLE)
        except iam.exceptions.NoSuchEntityException:
            return warn(
                name,
                f"{SCALING_ROLE} does not exist yet",
                f"AWS makes it on first use if the deployer may; else: "
                f"aws iam create-service-linked-role --aws-service-name {SCALING_SERVICE}",
            )
        return ok(name, SCALING_ROLE)

    return asking_aws(name, "iam:GetRole", ask)


def quota(aws: Aws, instance_type: str, usage: str, need: int) -> Finding:
    """How many instances of this type the account may run for this usage; endpoints and jobs are counted apart."""
    name = "endpoint quota" if usage == "endpoint" else "transform quota"
    title = f"{instance_type} for {usage} usage"
    ask_more = f"Service Quotas, Amazon SageMaker, {title!r}: request an increase to {need} or more."

    def ask() -> Finding:
        pages = (
            aws.client("service-quotas", **_BRIEF)
            .get_paginator("list_service_quotas")
            .paginate(ServiceCode="sagemaker")
        )
        values = [item["Value"] for page in pages for item in page["Quotas"] if item["QuotaName"] == title]
        if not values:
            return warn(name, f"no quota is called {title!r}", ask_more)
        if values[0] < need:
            return fail(name, f"{values[0]:.0f} x {instance_type}, the deployment may need {need}", ask_more)
        return ok(name, f"{values[0]:.0f} x {instance_type} (the deployment may need {need})")

    return asking_aws(name, "servicequotas:ListServiceQuotas", ask)


def image(aws: Aws, deployment: Any, region: str) -> Finding:
    """Whether the container image can be had in this region."""
    from rerank_infra.image import resolve

    uri = resolve(deployment.container.image, region=region, instance=deployment.instance).uri
    host, _, path = uri.partition("/")
    repository, _, tag = path.partition(":")

    def ask() -> Finding:
        answer = aws.client("ecr", **_BRIEF).batch_get_image(
            registryId=host.partition(".")[0],
            repositoryName=repository.partition("@")[0],
            imageIds=[{"imageTag": tag} if tag and "@" not in repository else {"imageDigest": path.partition("@")[2]}],
        )
        if not answer.get("images"):
            reason = answer.get("failures", [{}])[0].get("failureReason", "not found")
            return fail("image", f"{uri}: {reason}", "Choose another region, or build packaging/container and push it.")
        return ok("image", uri)

    return asking_aws("image", "ecr:BatchGetImage", ask)
