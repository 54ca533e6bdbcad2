"""Evaluate models on datasets, with confidence intervals of values and of differences."""

import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edge_embed.errors import InputError
from edge_embed.evaluation.bootstrap import Bootstrap, Estimate
from edge_embed.evaluation.measured import (
    Dataset,
    Measured,
    RankedDataset,
    Role,
    Score,
    ScoredDataset,
    Vectors,
)
from edge_embed.evaluation.metrics import Floats

__all__ = ["AVERAGE", "Reranker", "Result", "System", "compare"]

AVERAGE = "average"
"""The name of the mean over all datasets."""

Embed = Callable[[Sequence[str], Role], Vectors]


@dataclass(frozen=True)
class System:
    """A model to evaluate."""

    name: str
    embed: Embed
    """Function from texts and their role to vectors, float32 (texts, dim)."""
    facts: Mapping[str, Any]
    """Versions and origin, as JSON values."""
    dims: Sequence[int] = ()
    """Numbers of dimensions; vectors truncated to each are evaluated as a further system."""
    score: Score | None = None
    """For a pair model, which does not embed: function from pairs to scores (pairs,)."""
    reranker: "Reranker | None" = None
    """Reranks search results; evaluated as a system of its own, in addition to the search."""


@dataclass(frozen=True)
class Reranker:
    """A model that scores a query with each document of a search result."""

    name: str
    score: Score
    candidates: int
    """How many documents of each query it scores."""
    facts: Mapping[str, Any]
    """Versions and origin, as JSON values."""


@dataclass(frozen=True)
class Result:
    """The measures of one model on one dataset."""

    dataset: str
    system: str
    rows: int
    metrics: Mapping[str, Estimate]
    differences: Mapping[str, Estimate]
    """Differences from the first system, on the same resamples; empty for the first itself."""
    details: Mapping[str, Any]
    """Further figures of the dataset's measure, as JSON values."""
    seconds: float
    """Time to embed, or to rerank."""
    dim: int
    """Number of dimensions; 1 for scores of pairs."""


@dataclass(frozen=True)
class _Replicated:
    """A result with the bootstrap replicates of its measures."""

    result: Result
    replicates: Mapping[str, Floats]


def compare(
    datasets: Sequence[Dataset], systems: Sequence[System], *, bootstrap: Bootstrap | None = None
) -> Iterator[Result]:
    """Yield a result for each dataset and system, then averages if there are several datasets.

    Args:
        datasets: The datasets.
        systems: The models; the others are compared with the first.
        bootstrap: Settings of resampling; None for the defaults.

    Raises:
        InputError: two datasets or two systems have the same name, or a system has fewer dimensions
            than it should be truncated to.
    """
    bootstrap = bootstrap or Bootstrap()
    _check_names([dataset.name for dataset in datasets], "datasets")
    _check_names([name for system in systems for name in _names(system)], "models")
    every: list[list[_Replicated]] = []
    for dataset in datasets:
        seeded = replace(bootstrap, seed=zlib.crc32(f"{bootstrap.seed} {dataset.name}".encode()))
        of_dataset: list[_Replicated] = []
        for system in systems:
            for measured in _measure(dataset, system, seeded):
                of_dataset.append(_compared(measured, of_dataset[:1], bootstrap))
                yield of_dataset[-1].result
        every.append(of_dataset)
    if len(every) > 1:
        averages: list[_Replicated] = []
        for of_system in zip(*every, strict=True):
            averages.append(_compared(_average(of_system), averages[:1], bootstrap))
            yield averages[-1].result


def _names(system: System) -> list[str]:
    names = [system.name, *(f"{system.name} {dim}d" for dim in system.dims)]
    if system.reranker is not None:
        names.append(f"{system.name} + {system.reranker.name}")
    return names


def _measure(dataset: Dataset, system: System, bootstrap: Bootstrap) -> Iterator[_Replicated]:
    start = time.perf_counter()
    if system.score is not None and isinstance(dataset, ScoredDataset):
        scores = system.score(list(zip(dataset.first, dataset.second, strict=True)))
        measured = dataset.measure_scores(scores)
        seconds = time.perf_counter() - start
        result = Result(
            dataset.name, system.name, dataset.rows, {}, {}, measured.details, seconds, 1
        )
        yield _Replicated(result, _replicates(measured, bootstrap))
        return
    vectors = {role: system.embed(texts, role) for role, texts in dataset.inputs().items()}
    seconds = time.perf_counter() - start
    full = next(iter(vectors.values())).shape[1]
    if any(dim > full for dim in system.dims):
        raise InputError(f"{system.name} has {full} dimensions; cannot keep {max(system.dims)}")
    for name, dim in zip(_names(system), [full, *system.dims], strict=False):
        measured = dataset.measure({role: array[:, :dim] for role, array in vectors.items()})
        replicates = _replicates(measured, bootstrap)
        result = Result(dataset.name, name, dataset.rows, {}, {}, measured.details, seconds, dim)
        yield _Replicated(result, replicates)
    if system.reranker is not None:
        yield _reranked(dataset, system, system.reranker, vectors, bootstrap)


def _reranked(
    dataset: Dataset,
    system: System,
    reranker: Reranker,
    vectors: Mapping[Role, Vectors],
    bootstrap: Bootstrap,
) -> _Replicated:
    if not isinstance(dataset, RankedDataset):
        raise InputError(f"{dataset.name} has no rankings that {reranker.name} could order")
    start = time.perf_counter()
    measured = dataset.measure_reranked(vectors, reranker.score, reranker.candidates)
    result = Result(
        dataset.name,
        _names(system)[-1],
        dataset.rows,
        {},
        {},
        {**measured.details, "candidates": reranker.candidates},
        time.perf_counter() - start,
        next(iter(vectors.values())).shape[1],
    )
    return _Replicated(result, _replicates(measured, bootstrap))


def _replicates(measured: Measured, bootstrap: Bootstrap) -> dict[str, Floats]:
    return {
        name: bootstrap.replicates(statistic, measured.units)
        for name, statistic in measured.metrics.items()
    }


def _compared(
    measured: _Replicated, first: Sequence[_Replicated], bootstrap: Bootstrap
) -> _Replicated:
    """Add the estimates, and the differences from the first system if this is another."""
    metrics = {name: bootstrap.estimate(values) for name, values in measured.replicates.items()}
    differences = {
        name: bootstrap.estimate(values - first[0].replicates[name])
        for name, values in (measured.replicates.items() if first else ())
    }
    result = replace(measured.result, metrics=metrics, differences=differences)
    return _Replicated(result, measured.replicates)


def _average(of_system: Sequence[_Replicated]) -> _Replicated:
    """Average over datasets, whose resamples are independent of each other."""
    results = [measured.result for measured in of_system]
    replicates = {
        name: np.mean([measured.replicates[name] for measured in of_system], axis=0)
        for name in of_system[0].replicates
    }
    result = replace(
        results[0],
        dataset=AVERAGE,
        rows=sum(result.rows for result in results),
        details={},
        seconds=sum(result.seconds for result in results),
    )
    return _Replicated(result, replicates)


def _check_names(names: Sequence[str], kind: str) -> None:
    repeated = sorted({name for name in names if list(names).count(name) > 1})
    if repeated:
        raise InputError(f"two {kind} are called {repeated[0]!r}: name each once")
