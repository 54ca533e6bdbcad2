"""The server's metrics for Prometheus."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from edge_embed import __version__
from edge_embed.runtime.dynamic_batcher import BatchReport

__all__ = ["Metrics"]

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)
_STAGES = ("read", "tokenize", "compute", "write")
_TEXTS = (1, 2, 4, 8, 16, 32, 64, 128)
_TOKENS = (16, 32, 64, 128, 256, 512, 1024)
_FILL = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


class ReportedModel(Protocol):
    """The attributes of a loaded model that are reported."""

    name: str
    fingerprint: str

    @property
    def variant(self) -> str:
        """The variant of the weights."""

    @property
    def waiting_tokens(self) -> int:
        """Tokens of texts in its queue."""


class Metrics:
    """The metrics of one server, in a registry of its own."""

    def __init__(self) -> None:
        # Without this there would be a second time series for each metric.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.requests = Counter(
            "edge_embed_requests", "Requests answered.", ["path", "status"], registry=registry
        )
        self.seconds = Histogram(
            "edge_embed_request_seconds",
            "From the headers to the end of the answer.",
            ["path"],
            buckets=_SECONDS,
            registry=registry,
        )
        stages = Histogram(
            "edge_embed_stage_seconds",
            "Parts of a request; compute includes waiting for a batch.",
            ["stage"],
            buckets=_SECONDS,
            registry=registry,
        )
        # Looked up once, as they are used four times a request.
        self.stages = {stage: stages.labels(stage) for stage in _STAGES}
        self.in_flight = Gauge(
            "edge_embed_requests_in_flight", "Requests being answered.", registry=registry
        )
        self.rejected = Counter(
            "edge_embed_rejected_requests",
            "Requests refused, by why: overload, key, size, or stopped at the time limit.",
            ["reason"],
            registry=registry,
        )
        self.texts = Counter("edge_embed_texts", "Texts embedded.", ["model"], registry=registry)
        self.truncated = Counter(
            "edge_embed_truncated_texts", "Texts cut at the limit.", ["model"], registry=registry
        )
        self.unknown = Counter(
            "edge_embed_unknown_tokens",
            "Tokens that the model does not know.",
            ["model"],
            registry=registry,
        )
        self._tokens = Counter(
            "edge_embed_tokens", "Tokens computed, without padding.", ["model"], registry=registry
        )
        self._batch = {
            name: Histogram(
                f"edge_embed_batch_{name}", text, ["model"], buckets=buckets, registry=registry
            )
            for name, text, buckets in (
                ("texts", "Texts a batch.", _TEXTS),
                ("tokens", "Tokens a batch, without padding.", _TOKENS),
                ("fill", "Share of a batch that is no padding.", _FILL),
                ("seconds", "Time that a batch took.", _SECONDS),
            )
        }

    def watch_models(self, loaded: Callable[[], Sequence[ReportedModel]]) -> None:
        """Report at each scrape each loaded model and the tokens in its queue."""
        self._registry.register(_Models(loaded))

    def observe_batch(self, model: str, report: BatchReport) -> None:
        """Count a batch; called from the batcher's threads."""
        self._tokens.labels(model).inc(report.tokens)
        self._batch["texts"].labels(model).observe(report.texts)
        self._batch["tokens"].labels(model).observe(report.tokens)
        self._batch["fill"].labels(model).observe(report.tokens / max(report.area, 1))
        self._batch["seconds"].labels(model).observe(report.seconds)

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self._registry)


class _Models(Collector):
    def __init__(self, loaded: Callable[[], Sequence[ReportedModel]]) -> None:
        self._loaded = loaded

    def collect(self) -> Iterator[Metric]:
        version = InfoMetricFamily("edge_embed", "The server's version.")
        version.add_metric([], {"version": __version__})
        yield version
        names = ["model", "variant", "fingerprint"]
        about = GaugeMetricFamily(
            "edge_embed_model_info", "Which models are loaded; always 1.", labels=names
        )
        waiting = GaugeMetricFamily(
            "edge_embed_queue_tokens", "Tokens that wait, by loaded model.", labels=["model"]
        )
        for model in self._loaded():
            about.add_metric([model.name, model.variant, model.fingerprint], 1)
            waiting.add_metric([model.name], model.waiting_tokens)
        yield from (about, waiting)
