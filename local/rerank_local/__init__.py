"""AWS on this machine: moto as control plane, the bundle's own server as data plane, the real CDK CLI to deploy.

* `control/` what CloudFormation and SageMaker do, on top of moto.
* `data/` the processes behind endpoints and transform jobs.
* `server` is one process that holds both; `lifecycle` starts and stops it, `cdk` deploys into it, `state` says where
  it is.
"""
