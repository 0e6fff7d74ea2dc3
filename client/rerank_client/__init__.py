"""A boto3 client for rerank endpoints: splits by payload size, retries, merges exactly.

    from rerank_client import RerankClient

    answer = RerankClient("rerank-sandbox").rerank("what scales?", ["autoscaling", "a cat"], return_documents=True)
    print(answer.results[0].score, answer.results[0].document)

boto3 is imported when the first call is made, not with this package.
"""

from rerank_client.client import RerankClient
from rerank_client.errors import (
    BadResponse,
    DocumentTooLarge,
    EndpointFailed,
    EndpointNotFound,
    InvalidCall,
    RequestRejected,
    RerankClientError,
)
from rerank_client.types import RankedDocument, RerankResponse

__all__ = [
    "BadResponse",
    "DocumentTooLarge",
    "EndpointFailed",
    "EndpointNotFound",
    "InvalidCall",
    "RankedDocument",
    "RequestRejected",
    "RerankClient",
    "RerankClientError",
    "RerankResponse",
]
