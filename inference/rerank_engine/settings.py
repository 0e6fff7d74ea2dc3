"""Every knob, once: field = environment variable = documentation.

Read by the container from its environment, written by the CDK stacks and by the bundle, printed in the README.
Standard library only: the infrastructure imports this module without torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self, get_type_hints

from rerank_engine.errors import SettingsError

PREFIX = "RERANK_"
_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off"}


@dataclass(frozen=True, slots=True)
class Knob:
    """One setting, as documentation: what it is called, its unit, bounds and meaning."""

    name: str
    env: str
    type: type
    default: Any
    doc: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()

    def parse(self, raw: str) -> Any:
        """The value of `raw`.

        Raises:
            SettingsError: it is not of the knob's type, or out of its bounds.
        """
        text = raw.strip()
        try:
            value = _boolean(text) if self.type is bool else self.type(text)
        except ValueError:
            raise SettingsError(f"{self.env} has value {raw!r}. Not a valid {self.type.__name__}.") from None
        return self.check(value)

    def check(self, value: Any) -> Any:
        """`value` itself, once it is within bounds; SettingsError otherwise."""
        if self.choices and value not in self.choices:
            raise SettingsError(f"{self.env} has value {value!r}. Choose one of: {', '.join(self.choices)}.")
        too_low = self.low is not None and value < self.low
        too_high = self.high is not None and value > self.high
        if too_low or too_high or value != value:
            bounds = f"{self.low if self.low is not None else ''}..{self.high if self.high is not None else ''}"
            raise SettingsError(f"{self.env} has value {value!r}. Must be within {bounds} {self.unit}".rstrip() + ".")
        return value


def _boolean(text: str) -> bool:
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise ValueError(text)


def _knob(default: Any, doc: str, **more: Any) -> Any:
    return field(default=default, metadata={"doc": doc, **more})


@dataclass(frozen=True)
class Settings:
    """How the engine and its server behave. Every field is read from RERANK_<FIELD>."""

    device: str = _knob(
        "auto", "Where the model runs; auto takes CUDA when there is one.", choices=("auto", "cpu", "cuda")
    )
    precision: str = _knob(
        "auto",
        "Arithmetic of the matrix products. auto: bf16 on GPUs that have it (A10G, L4, L40S, A100, H100), "
        "fp16 on older ones (T4), fp32 on CPUs. mixed, bf16 and int8 make CPUs faster; they are for bundles packaged "
        "with --precision, whose scores were held against fp32. mixed is bf16 in the feed-forwards and fp32 in "
        "attention, and nearest to fp32; mixed and bf16 want AVX-512 with bf16, AMX or ARM's bf16.",
        choices=("auto", "fp32", "mixed", "bf16", "fp16", "int8"),
    )
    max_length: int = _knob(
        0, "Longest pair the model reads; 0 takes the checkpoint's own window.", unit="tokens", low=0, high=131_072
    )
    max_query_tokens: int = _knob(
        2048, "Longest query; at most 3/4 of the window is given to it in any case.", unit="tokens", low=1, high=131_072
    )
    chunk_tokens: int = _knob(
        0,
        "Documents longer than this are split into chunks of it, and score as their best chunk. 0 takes what the query "
        "leaves of the window: at 8,192 tokens nearly every document is read whole, which sees more than chunks do. "
        "512 makes passages of long documents, each as short as most rerankers were trained on.",
        unit="tokens",
        low=0,
        high=131_072,
    )
    chunk_overlap: int = _knob(
        64,
        "Tokens that neighbouring chunks share, so that an answer on a cut is whole in one; at most half a chunk.",
        unit="tokens",
        low=0,
        high=65_536,
    )
    max_chunks_per_document: int = _knob(
        10,
        "Chunks of one document; what lies behind the last is cut and reported. 10, as in Cohere's API, read 80,000 "
        "tokens at 8,192 each; 1 cuts documents at the window.",
        unit="chunks",
        low=1,
        high=10_000,
    )
    token_budget: int = _knob(
        16_384,
        "Tokens of one forward pass: 16,384 holds 64 pairs of 256 tokens.",
        unit="tokens",
        low=16,
        high=1_048_576,
    )
    max_batch_pairs: int = _knob(512, "Pairs of one forward pass.", unit="pairs", low=1, high=65_536)
    max_documents: int = _knob(10_000, "Documents one request may carry.", unit="documents", low=1, high=1_000_000)
    max_body_bytes: int = _knob(
        6_291_456,
        "Largest request body. SageMaker's own real-time limit is 6,291,456; batch jobs raise it to MaxPayloadInMB.",
        unit="bytes",
        low=1024,
        high=1_073_741_824,
    )
    max_response_bytes: int = _knob(
        6_291_456, "Largest response body of a real-time call.", unit="bytes", low=1024, high=1_073_741_824
    )
    max_queued_requests: int = _knob(
        128, "Requests waiting before new ones get 503.", unit="requests", low=1, high=100_000
    )
    max_requests_per_caller: int = _knob(
        0,
        "Requests that one caller may have under way before its next ones get 429, where callers say who they are: "
        "caller=NAME in X-Amzn-SageMaker-Custom-Attributes. 0 takes half of RERANK_MAX_QUEUED_REQUESTS.",
        unit="requests",
        low=0,
        high=100_000,
    )
    deadline_seconds: float = _knob(
        55.0, "A request not answered by then gets 504; SageMaker cuts at 60.", unit="s", low=0.1, high=3600.0
    )
    drain_seconds: float = _knob(
        25.0, "After SIGTERM, time to finish what was accepted; SageMaker kills at 30.", unit="s", low=0.0, high=3600.0
    )
    hang_exit_seconds: float = _knob(
        120.0,
        "A forward pass that takes this long never ends: the process does, and SageMaker starts a new one. From "
        "RERANK_DEADLINE_SECONDS on, /ping says 503. 0 waits for ever.",
        unit="s",
        low=0.0,
        high=86_400.0,
    )
    verify_bundle: bool = _knob(
        True, "Hold the bundle's files against the sha256 in its manifest before loading: 1 to 3 s for each GB."
    )
    cache_entries: int = _knob(
        0,
        "Pairs whose scores are remembered, the least recently used forgotten first: 200 bytes each. 0 remembers none.",
        unit="pairs",
        low=0,
        high=100_000_000,
    )
    threads: int = _knob(0, "CPU threads of the forward pass; 0 takes every core.", unit="threads", low=0, high=1024)
    bind_host: str = _knob("127.0.0.1", "Address the server binds; the container image sets 0.0.0.0.")
    model_dir: str = _knob("", "Folder of the model; empty takes SageMaker's /opt/ml/model.")
    log_level: str = _knob("info", "Least severe log line written.", choices=("debug", "info", "warning", "error"))
    emf_namespace: str = _knob(
        "",
        "CloudWatch namespace, such as Rerank/production, for metrics in Embedded Metric Format on standard output. "
        "Empty writes none: CloudWatch bills custom metrics, 13 here for each namespace and model.",
    )
    otel: bool = _knob(
        False,
        "Send a trace of each request with OpenTelemetry, which has to be installed and is set by OTEL_* variables. "
        "Under network isolation nothing gets out.",
    )
    log_text: bool = _knob(False, "Write query text into logs. Off: logs carry sizes and timings only.")

    def __post_init__(self) -> None:
        for knob in knobs():
            knob.check(getattr(self, knob.name))

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Self:
        """Settings from an environment.

        Raises:
            SettingsError: a RERANK_* variable is unknown, malformed or out of bounds.
        """
        known = {knob.env: knob for knob in knobs()}
        given = {name: raw for name, raw in env.items() if name.startswith(PREFIX)}
        for name in given:
            if name not in known:
                raise SettingsError(f"{name} is not a setting.", tip=f"Known settings: {', '.join(sorted(known))}.")
        return cls(**{known[name].name: known[name].parse(raw) for name, raw in given.items()})

    def to_env(self) -> dict[str, str]:
        """The environment that makes `from_env` return these settings; defaults are left out."""
        changed = {knob: getattr(self, knob.name) for knob in knobs() if getattr(self, knob.name) != knob.default}
        return {knob.env: str(value).lower() if knob.type is bool else str(value) for knob, value in changed.items()}


def knobs() -> tuple[Knob, ...]:
    """Every setting, in the order of the class: the README's table is printed from this."""
    hints = get_type_hints(Settings)
    return tuple(
        Knob(name=f.name, env=PREFIX + f.name.upper(), type=hints[f.name], default=f.default, **f.metadata)
        for f in fields(Settings)
    )
