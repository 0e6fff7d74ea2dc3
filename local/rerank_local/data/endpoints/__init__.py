"""Endpoints: fleets of model processes, and SageMaker's runtime API in front of them."""
