"""What can go wrong in the local data plane.

DataPlaneError              a LocalError
├── ContainerFailed         the model's process did not start, did not pass /ping, or gave up
│   └── ModelDataFailed     its archive cannot be downloaded, unpacked or started
├── ContainerUnavailable    no process is there to answer (died, restarting, stopped)
├── InvocationTimedOut      the process did not answer in time
├── ResponseBroken          its answer was cut off, too large, or not HTTP
├── UnknownEndpoint         no endpoint of that name
├── UnknownVariant          the endpoint has no variant of that name
├── EndpointNotInService    the endpoint is being created, or has failed
├── EndpointBusy            it is being created or updated already
├── UnknownJob              no transform job of that name
├── TransformRefused        a CreateTransformJob request that AWS would not take, or that is not offered here
├── BadFilter               an InputFilter or OutputFilter that is not in SageMaker's JSONPath subset, or does not apply
├── RecordTooLarge          a record larger than MaxPayloadInMB
├── JoinFailed              input and response of a transform job do not fit each other
└── InputFailed             a transform job's input cannot be listed or read
"""

from rerank_local.errors import LocalError


class DataPlaneError(LocalError):
    """Base of the errors of the local data plane."""


class ContainerFailed(DataPlaneError):
    """A model process did not become healthy; the text carries the end of its log."""


class ModelDataFailed(ContainerFailed):
    """The model archive is missing, damaged, unsafe, or holds nothing that can be started here."""


class ContainerUnavailable(DataPlaneError):
    """There is no process to answer right now."""


class InvocationTimedOut(DataPlaneError):
    """The process did not answer within the time allowed."""


class ResponseBroken(DataPlaneError):
    """The answer ended early, exceeds the limit, or is not HTTP."""


class UnknownEndpoint(DataPlaneError):
    """No endpoint of that name runs here."""


class UnknownVariant(DataPlaneError):
    """The endpoint has no production variant of that name."""


class EndpointNotInService(DataPlaneError):
    """The endpoint exists but cannot take invocations yet, or any more."""


class EndpointBusy(DataPlaneError):
    """The endpoint is being created or updated already."""


class UnknownJob(DataPlaneError):
    """No transform job of that name was created here."""


class TransformRefused(DataPlaneError):
    """The request is invalid on AWS, or asks for something the local AWS does not offer."""


class BadFilter(DataPlaneError):
    """A filter outside SageMaker's JSONPath subset, or one that does not fit the data."""


class RecordTooLarge(DataPlaneError):
    """A single record does not fit MaxPayloadInMB."""


class JoinFailed(DataPlaneError):
    """Input records and response cannot be associated."""


class InputFailed(DataPlaneError):
    """The input of a transform job cannot be listed or read."""
