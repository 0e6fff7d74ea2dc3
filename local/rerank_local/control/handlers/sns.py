"""SNS topics, subscriptions and policies; SQS queue policies."""

import json
from typing import Any

from rerank_local.control.handlers.base import Call, Handler, Made, Resource

_TOPIC_ATTRIBUTES = ("DisplayName", "KmsMasterKeyId", "SignatureVersion", "TracingConfig", "ContentBasedDeduplication")
_SUBSCRIPTION_ATTRIBUTES = (
    "DeliveryPolicy",
    "FilterPolicy",
    "FilterPolicyScope",
    "RawMessageDelivery",
    "RedrivePolicy",
    "SubscriptionRoleArn",
)


class Topic(Handler):
    """AWS::SNS::Topic; Ref is its ARN."""

    type = "AWS::SNS::Topic"
    name_property = "TopicName"

    def create(self, call: Call) -> Made:
        """CreateTopic, then its inline subscriptions."""
        fifo = bool(call.properties.get("FifoTopic", False))
        name = call.name if call.name.endswith(".fifo") or not fifo else f"{call.name}.fifo"
        attributes = {**_texts(call.properties, _TOPIC_ATTRIBUTES), **({"FifoTopic": "true"} if fifo else {})}
        tags = call.properties.get("Tags", [])
        arn = call.client("sns").create_topic(Name=name, Attributes=attributes, Tags=tags)["TopicArn"]
        return Made(arn, {"TopicArn": arn, "TopicName": name})

    def configure(self, call: Call, made: Made, old: Resource | None) -> None:
        """Attributes, and subscriptions that are not there yet."""
        client = call.client("sns")
        if old is not None:
            values = _texts(call.properties, _TOPIC_ATTRIBUTES)
            for name in _TOPIC_ATTRIBUTES:
                if name in values or name in old.properties:
                    client.set_topic_attributes(
                        TopicArn=made.physical_id, AttributeName=name, AttributeValue=values.get(name, "")
                    )
        known = old.properties.get("Subscription", []) if old else []
        for subscription in call.properties.get("Subscription", []):
            if subscription not in known:
                client.subscribe(TopicArn=made.physical_id, **subscription)

    def delete(self, call: Call, old: Resource) -> None:
        """DeleteTopic."""
        call.client("sns").delete_topic(TopicArn=old.physical_id)


class Subscription(Handler):
    """AWS::SNS::Subscription; Ref is its ARN."""

    type = "AWS::SNS::Subscription"

    def create(self, call: Call) -> Made:
        """Subscribe; nothing is ever delivered by mail from this machine."""
        properties = call.properties
        arn = call.client("sns").subscribe(
            TopicArn=properties["TopicArn"],
            Protocol=properties["Protocol"],
            Endpoint=properties.get("Endpoint", ""),
            Attributes=_texts(properties, _SUBSCRIPTION_ATTRIBUTES),
            ReturnSubscriptionArn=True,
        )["SubscriptionArn"]
        return Made(arn, {"Arn": arn})

    def configure(self, call: Call, made: Made, old: Resource | None) -> None:
        """Attributes."""
        if old is None:
            return
        for name, value in _texts(call.properties, _SUBSCRIPTION_ATTRIBUTES).items():
            call.client("sns").set_subscription_attributes(
                SubscriptionArn=made.physical_id, AttributeName=name, AttributeValue=value
            )

    def delete(self, call: Call, old: Resource) -> None:
        """Unsubscribe."""
        call.client("sns").unsubscribe(SubscriptionArn=old.physical_id)


class TopicPolicy(Handler):
    """AWS::SNS::TopicPolicy."""

    type = "AWS::SNS::TopicPolicy"

    def create(self, call: Call) -> Made:
        """Nothing of its own: the policy lives on its topics."""
        return Made(call.name, {"Id": call.name})

    def configure(self, call: Call, made: Made, old: Resource | None) -> None:
        """Sets the policy of every topic."""
        policy = json.dumps(call.properties["PolicyDocument"])
        for topic in call.properties["Topics"]:
            call.client("sns").set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=policy)

    def delete(self, call: Call, old: Resource) -> None:
        """The policy goes with its topics, as on AWS."""


class QueuePolicy(Handler):
    """AWS::SQS::QueuePolicy."""

    type = "AWS::SQS::QueuePolicy"

    def create(self, call: Call) -> Made:
        """Nothing of its own: the policy lives on its queues."""
        return Made(call.name, {"Id": call.name})

    def configure(self, call: Call, made: Made, old: Resource | None) -> None:
        """Sets the policy of every queue."""
        policy = json.dumps(call.properties["PolicyDocument"])
        for queue in call.properties["Queues"]:
            call.client("sqs").set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})

    def delete(self, call: Call, old: Resource) -> None:
        """Takes the policy off every queue."""
        for queue in old.properties["Queues"]:
            call.client("sqs").set_queue_attributes(QueueUrl=queue, Attributes={"Policy": ""})


HANDLERS: tuple[Handler, ...] = (Topic(), Subscription(), TopicPolicy(), QueuePolicy())


def _texts(properties: Any, names: tuple[str, ...]) -> dict[str, str]:
    """Attributes as SNS wants them: text, JSON for what is structured."""
    texts = {}
    for name in names:
        if name in properties:
            value = properties[name]
            texts[name] = value if isinstance(value, str) else json.dumps(value)
    return texts
