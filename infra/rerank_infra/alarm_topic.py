"""Where alarms go: a topic of the deployment's own, or one that is already there."""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from rerank_infra.deployment import Alarms


class AlarmTopic(Construct):
    """An encrypted topic CloudWatch may publish to, with an e-mail subscription if one is asked for."""

    def __init__(self, scope: Construct, construct_id: str, *, alarms: Alarms, key: kms.IKey) -> None:
        super().__init__(scope, construct_id)
        if alarms.topic_arn is not None:
            self.topic: sns.ITopic = sns.Topic.from_topic_arn(self, "Topic", alarms.topic_arn)
            return
        self.topic = sns.Topic(self, "Topic", master_key=key, enforce_ssl=True)
        stack = cdk.Stack.of(self)
        # Any policy on a topic takes the place of the default one that let the account's own alarms in.
        self.topic.add_to_resource_policy(
            iam.PolicyStatement(
                sid="AlarmsOfThisAccount",
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                actions=["sns:Publish"],
                resources=[self.topic.topic_arn],
                conditions={"StringEquals": {"aws:SourceAccount": stack.account}},
            )
        )
        if alarms.email is not None:
            self.topic.add_subscription(subscriptions.EmailSubscription(alarms.email))
