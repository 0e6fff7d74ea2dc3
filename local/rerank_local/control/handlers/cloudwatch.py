"""CloudWatch alarms, composite alarms and dashboards."""

from rerank_local.control.handlers.base import Call, Handler, Made, Resource


class Alarm(Handler):
    """AWS::CloudWatch::Alarm; Ref is its name."""

    type = "AWS::CloudWatch::Alarm"
    name_property = "AlarmName"
    operation = "PutMetricAlarm"

    def create(self, call: Call) -> Made:
        """Puts the alarm."""
        self._put(call, call.name)
        return Made(call.name, {"Arn": call.place.arn("cloudwatch", f"alarm:{call.name}")})

    def update(self, call: Call, old: Resource) -> Made:
        """Puts it again: the operation replaces every setting."""
        self._put(call, old.name)
        return old.made

    def delete(self, call: Call, old: Resource) -> None:
        """DeleteAlarms."""
        call.client("cloudwatch").delete_alarms(AlarmNames=[old.name])

    def _put(self, call: Call, name: str) -> None:
        client = call.client("cloudwatch")
        arguments = {**call.arguments(client, self.operation), "AlarmName": name}
        put = client.put_metric_alarm if self.operation == "PutMetricAlarm" else client.put_composite_alarm
        put(**arguments)


class CompositeAlarm(Alarm):
    """AWS::CloudWatch::CompositeAlarm."""

    type = "AWS::CloudWatch::CompositeAlarm"
    operation = "PutCompositeAlarm"


class Dashboard(Handler):
    """AWS::CloudWatch::Dashboard; Ref is its name."""

    type = "AWS::CloudWatch::Dashboard"
    name_property = "DashboardName"

    def create(self, call: Call) -> Made:
        """PutDashboard."""
        self._put(call, call.name)
        return Made(call.name)

    def update(self, call: Call, old: Resource) -> Made:
        """PutDashboard again."""
        self._put(call, old.name)
        return old.made

    def delete(self, call: Call, old: Resource) -> None:
        """DeleteDashboards."""
        call.client("cloudwatch").delete_dashboards(DashboardNames=[old.name])

    def _put(self, call: Call, name: str) -> None:
        body = call.properties["DashboardBody"]
        call.client("cloudwatch").put_dashboard(DashboardName=name, DashboardBody=body)


HANDLERS: tuple[Handler, ...] = (Alarm(), CompositeAlarm(), Dashboard())
