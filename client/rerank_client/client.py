"""`RerankClient`: one call in, however many requests out, one exact answer back."""

import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import Lock
from typing import Any

from rerank_client import aws, failures
from rerank_client.errors import InvalidCall
from rerank_client.merge import PartAnswer, merge, parse
from rerank_client.payload import MAX_PAYLOAD_BYTES, Part, split
from rerank_client.types import Document, RerankResponse

READ_TIMEOUT_S = 70  # SageMaker cuts at 60 s; the SDK has to outwait it
DIALECTS = ("jina",)


class RerankClient:
    """Calls a rerank endpoint. Safe to share between threads.

    Args:
        endpoint_name: the endpoint's name.
        region_name: AWS region; None takes the session's, then the CDK CLI's: see `rerank_client.aws`. Where nobody
            names one, that is us-east-1, with a warning.
        session: a boto3 Session, whose profile, keys and region count; None makes one by the CDK CLI's rule.
        client: a ready `sagemaker-runtime` client; then region, session, timeouts and boto3's own
            retries, which multiply with `max_attempts`, are the caller's business.
        dialect: wire format; "jina" (`/v1/rerank`).
        max_payload_bytes: largest request body, in bytes; SageMaker's own limit is 6,291,456, serverless takes 4 MB.
        max_documents_per_request: documents of one request; lower it when a full request comes near 60 s.
        max_concurrency: requests of one call in flight at a time.
        max_attempts: attempts of one request, the first included.
        backoff_base_s, backoff_cap_s: full jitter, uniform in [0, min(cap, base * 2^n)] seconds.
        inference_component: name of the inference component, where the endpoint hosts several.
        target_variant: name of the production variant to reach.
        sleep: waits that many seconds; tests pass their own.
    """

    def __init__(
        self,
        endpoint_name: str,
        *,
        region_name: str | None = None,
        session: Any = None,
        client: Any = None,
        dialect: str = "jina",
        max_payload_bytes: int = MAX_PAYLOAD_BYTES,
        max_documents_per_request: int = 10_000,
        max_concurrency: int = 4,
        max_attempts: int = 4,
        backoff_base_s: float = 0.2,
        backoff_cap_s: float = 5.0,
        inference_component: str | None = None,
        target_variant: str | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if dialect not in DIALECTS:
            raise InvalidCall(
                f"Dialect {dialect!r} is not one the client speaks.", tip=f"Known: {', '.join(DIALECTS)}."
            )
        if min(max_documents_per_request, max_concurrency, max_attempts) < 1:
            raise InvalidCall("max_documents_per_request, max_concurrency and max_attempts must be at least 1.")
        self.endpoint_name = endpoint_name
        self._region_name, self._session, self._client, self._lock = region_name, session, client, Lock()
        self._max_payload_bytes = max_payload_bytes
        self._max_documents = max_documents_per_request
        self._max_concurrency = max_concurrency
        self._max_attempts = max_attempts
        self._backoff_base_s, self._backoff_cap_s = backoff_base_s, backoff_cap_s
        self._sleep = sleep
        self._routing = _given(InferenceComponentName=inference_component, TargetVariant=target_variant)

    def rerank(
        self,
        query: str,
        documents: Sequence[Document],
        top_n: int | None = None,
        return_documents: bool = False,
        *,
        max_tokens_per_document: int | None = None,
        truncate: bool | None = None,
        custom_attributes: str | None = None,
    ) -> RerankResponse:
        """Scores every document against the query and returns them best first.

        Documents never travel back: with `return_documents` the caller's own objects are attached here. An empty list
        is answered without a request. `custom_attributes` (ASCII, at most 1,024 characters) goes with each request.

        Raises:
            InvalidCall: an argument cannot be sent; DocumentTooLarge: one document exceeds the payload limit.
            RequestRejected: the container refused the request; EndpointNotFound; EndpointFailed: it kept failing.
            BadResponse: the answer is not a rerank answer.
        """
        if isinstance(documents, (str, bytes)):
            raise InvalidCall("documents is one string. Give a list of documents.")
        if top_n is not None and top_n < 1:
            raise InvalidCall(f"top_n is {top_n}. Must be at least 1, or None for all.")
        options = {"return_documents": False} | _given(max_doc_length=max_tokens_per_document, truncate=truncate)
        parts = split(
            query,
            documents,
            options,
            top_n=top_n,
            max_bytes=self._max_payload_bytes,
            max_documents=self._max_documents,
        )
        return merge(
            self._send_all(parts, custom_attributes), documents, top_n=top_n, return_documents=return_documents
        )

    def _send_all(self, parts: Sequence[Part], custom_attributes: str | None) -> list[PartAnswer]:
        if len(parts) <= 1:
            return [self._send(part, custom_attributes) for part in parts]
        pool = ThreadPoolExecutor(min(self._max_concurrency, len(parts)), thread_name_prefix="rerank-client")
        try:
            return list(pool.map(lambda part: self._send(part, custom_attributes), parts))
        finally:
            pool.shutdown(cancel_futures=True)  # after a failure the parts not yet sent are dropped

    def _send(self, part: Part, custom_attributes: str | None) -> PartAnswer:
        from botocore.exceptions import BotoCoreError, ClientError

        waits = failures.backoff_s(self._max_attempts, base_s=self._backoff_base_s, cap_s=self._backoff_cap_s)
        for attempt in count(1):
            try:
                return self._invoke(part, custom_attributes)
            except (ClientError, BotoCoreError) as cause:
                failure = failures.of_exception(cause)
                wait_s = next(waits, None) if failure.passing else None
                if wait_s is None:
                    error = failures.to_error(failure, endpoint_name=self.endpoint_name, attempts=attempt)
                    if error is None:
                        raise
                    raise error from cause
            self._sleep(wait_s)
        raise AssertionError("count() does not end")

    def _invoke(self, part: Part, custom_attributes: str | None) -> PartAnswer:
        response = self._runtime().invoke_endpoint(
            EndpointName=self.endpoint_name,
            ContentType="application/json",
            Accept="application/json",
            Body=part.body,
            **self._routing,
            **_given(CustomAttributes=custom_attributes),
        )
        attributes = response.get("CustomAttributes", "")
        return parse(response["Body"].read(), start=part.start, count=part.count, custom_attributes=attributes)

    def _runtime(self) -> Any:
        with self._lock:
            if self._client is None:
                from botocore.config import Config

                config = Config(
                    read_timeout=READ_TIMEOUT_S,
                    retries={"total_max_attempts": 1},  # retries are this client's: botocore knows no ModelError
                    max_pool_connections=max(10, self._max_concurrency),
                )
                name = self._region_name or (self._session.region_name if self._session else None) or _region()
                session = self._session or aws.session(name)
                self._client = session.client("sagemaker-runtime", region_name=name, config=config)
            return self._client


def _region() -> str:
    found = aws.region()
    if found.source == aws.NOTHING:
        warnings.warn(f"No AWS region is set: {found.value} is taken, as the CDK does. Set AWS_REGION.", stacklevel=2)
    return str(found.value)


def _given(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}
