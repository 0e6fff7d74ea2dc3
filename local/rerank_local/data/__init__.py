"""The data plane of the AWS on this machine: real model processes behind SageMaker's invocations and transform jobs."""
