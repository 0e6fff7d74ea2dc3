"""Templates pass cfn-lint and cdk-nag, and the checks are really there."""

import json
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.parametrize("which", ["foundation", "endpoint"])
def test_templates_pass_cfn_lint(stacks: Any, which: str) -> None:
    """No error and no warning: property names, enumerations, bounds and instance types are CloudFormation's own."""
    from cfnlint.api import lint
    from cfnlint.config import ManualArgs

    found = lint(json.dumps(getattr(stacks, which).body), config=ManualArgs(regions=["us-east-1"]))

    assert [] == [f"{match.rule.id} {match.message}" for match in found if not match.rule.id.startswith("I")]


def test_a_template_fits_cloudformation(stacks: Any) -> None:
    """At most 1 MB through S3, 500 resources, 200 outputs."""
    for template in (stacks.foundation, stacks.endpoint):
        assert len(json.dumps(template.body)) < 1_000_000
        assert len(template.body["Resources"]) < 500


def test_only_plain_resource_types_are_used(stacks: Any) -> None:
    """No custom resources and no functions: nothing runs in the account but the endpoint."""
    types = {r["Type"] for t in (stacks.foundation, stacks.endpoint) for r in t.body["Resources"].values()}

    assert [] == [kind for kind in types if kind.startswith(("Custom::", "AWS::Lambda", "AWS::CloudFormation"))]


def test_an_unacknowledged_finding_stops_the_synthesis(tmp_path: Path) -> None:
    """cdk-nag's AwsSolutions rules are in force: a bucket without access logs fails."""
    import aws_cdk as cdk
    import cdk_nag
    from aws_cdk import aws_s3 as s3

    app = cdk.App(analytics_reporting=False, outdir=str(tmp_path))
    s3.Bucket(cdk.Stack(app, "Careless"), "Bucket")
    cdk.Validations.of(app).add_plugins(cdk_nag.AwsSolutionsChecks(app))

    with pytest.raises(RuntimeError, match="ValidationFailed"):
        app.synth()
    assert "AwsSolutions-S1" in (tmp_path / "validation-report.json").read_text()


def test_accepted_findings_carry_their_reasons(stacks: Any) -> None:
    """Whatever cdk-nag found and we accepted has a sentence that says why."""
    reasons = stacks.accepted

    rules = {finding.split("[")[0].removeprefix("AwsSolutions::") for finding in reasons}

    assert rules <= {"AwsSolutions-IAM5", "AwsSolutions-S1"}
    assert all(len(reason.split()) >= 8 for reason in reasons.values())


def test_production_accepts_wildcards_only_and_one_by_one(production: Any) -> None:
    """Findings are accepted resource by resource: a new wildcard is not covered by an old reason."""
    assert [] == [finding for finding in production.accepted if "IAM5[Resource::" not in finding]
