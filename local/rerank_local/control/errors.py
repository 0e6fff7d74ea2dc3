"""Why the control plane refuses or fails, as a tree.

ControlError
├── TemplateError      the template or its parameters cannot be deployed as they stand (→ ValidationError)
│   └── Unsupported    valid on AWS, not carried out on this machine: said loudly instead of skipped
├── StackNotFound      no such stack or change set
├── ResourceFailed     creating, updating or deleting one resource failed; names it
└── ExportInUse        another stack imports what would go away
"""


class ControlError(Exception):
    """Base of all errors the control plane raises on purpose."""


class TemplateError(ControlError):
    """The template, its parameters or a reference in it cannot be resolved."""


class Unsupported(TemplateError):
    """AWS can do it, the AWS on this machine cannot."""


class StackNotFound(ControlError):
    """No stack of this name or id."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Stack with id {name} does not exist")


class ChangeSetNotFound(ControlError):
    """No change set of this name or id."""

    def __init__(self, name: str) -> None:
        super().__init__(f"ChangeSet [{name}] does not exist")


class StackExists(ControlError):
    """A live stack has this name already."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Stack [{name}] already exists")


class ExportInUse(ControlError):
    """An exported value would vanish or change while another stack imports it."""


class ResourceFailed(ControlError):
    """One resource could not be created, updated or deleted.

    Attributes:
        logical_id: its name in the template.
        reason: what the service said.
    """

    def __init__(self, logical_id: str, reason: str) -> None:
        super().__init__(f"{logical_id}: {reason}")
        self.logical_id = logical_id
        self.reason = reason
