"""``edge-embed eval``: evaluate models on your own data."""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from edge_embed.cli.documents import write_document
from edge_embed.cli.options import ModelOptions, candidates_option, several_model_options
from edge_embed.cli.paths import claim_paths
from edge_embed.cli.terminal import check_suffix, echo
from edge_embed.embedder import Embedder
from edge_embed.errors import InputError
from edge_embed.files.figures import require_matplotlib
from edge_embed.model.kinds import is_pair_model
from edge_embed.model.locate import resolve_model
from edge_embed.runtime.text_warnings import asymmetry

if TYPE_CHECKING:
    from edge_embed.evaluation import Reranker, RetrievalSet
    from edge_embed.pairs.scorer import PairScorer

_Function = TypeVar("_Function", bound=Callable[..., Any])


@click.group("eval")
def eval_command() -> None:
    """Measure models on your own data, side by side, with confidence intervals."""


def _options(function: _Function) -> _Function:
    """Add the options that all evaluations have."""
    decorators: list[Callable[[Any], Any]] = [
        click.argument("data", nargs=-1, required=True, type=click.Path(path_type=Path)),
        click.option("--json", "json_file", metavar="FILE", help="Results; - is standard output."),
        click.option("--plot", "plot_file", metavar="FILE.png", help="Draw the results."),
        click.option(
            "--dim",
            "dims",
            type=click.IntRange(min=1),
            multiple=True,
            help="Also measure vectors cut to so many dimensions; may be repeated.",
        ),
        click.option(
            "--resamples",
            type=click.IntRange(min=0),
            default=1000,
            show_default=True,
            help="Bootstrap resamples; 0 gives no intervals.",
        ),
        click.option("--seed", type=int, default=0, show_default=True, help="Of the bootstrap."),
        several_model_options,
    ]
    for decorator in reversed(decorators):
        function = decorator(function)
    return function


def _claimed(data: Sequence[Path], options: dict[str, Any]) -> None:
    """Check the paths of an evaluation (:func:`claim_paths`)."""
    claim_paths(
        reads={f"DATA {path}": path for path in data},
        files={"--json": options["json_file"], "--plot": options["plot_file"]},
    )


@eval_command.command("sts")
@_options
def sts_command(data: Sequence[Path], **options: Any) -> None:  # noqa: ANN401
    """Semantic similarity: tables with score, sentence1, sentence2; a folder is one set."""
    from edge_embed.evaluation import StsSet

    _claimed(data, options)
    datasets = [StsSet.read(path) for path in data]  # a bad file is reported before a model loads
    _Run(**options).evaluate("sts", datasets)


@eval_command.command("pairs")
@click.option(
    "--save-threshold",
    is_flag=True,
    help="Store threshold and probability with each model (one DATA).",
)
@_options
def pairs_command(data: Sequence[Path], *, save_threshold: bool, **options: Any) -> None:  # noqa: ANN401
    """Paraphrases or not: tables with label (0 or 1), sentence1, sentence2 and, if any, kind.

    MODEL may be one that reads pairs. JSON breaks the results down by kind.
    """
    from edge_embed.evaluation import PairSet

    _claimed(data, options)
    if save_threshold and (len(data) > 1 or options["dims"]):
        raise click.UsageError("--save-threshold takes one DATA and no --dim")
    datasets = [PairSet.read(path) for path in data]
    run = _Run(**options)
    folders = [model.config.folder.resolve() for model in run.models]
    if save_threshold and len(set(folders)) < len(folders):
        raise InputError("--save-threshold stores one threshold a folder: give one variant of each")
    results = run.evaluate("pairs", datasets)
    if save_threshold:
        from edge_embed.evaluation.pairs import pair_threshold

        for model, result in zip(run.models, results, strict=True):
            path = pair_threshold(result, variant=model.variant).save(model.config.folder)
            echo(f"stored: {path}", err=True)


@eval_command.command("retrieval")
@click.option(
    "--split", default="test", show_default=True, help="Which judgements: qrels/SPLIT.tsv."
)
@click.option(
    "--rerank",
    metavar="MODEL",
    help="Also measure each model with its hits ordered anew by a converted cross-encoder.",
)
@candidates_option
@_options
def retrieval_command(
    data: Sequence[Path],
    split: str,
    rerank: str | None,
    candidates: int,
    **options: Any,  # noqa: ANN401
) -> None:
    """Search: folders with corpus, queries and qrels as .tsv or .jsonl (BEIR's form)."""
    from edge_embed.evaluation import RetrievalSet, reranker

    _claimed(data, options)
    datasets = [RetrievalSet.read(path, split=split) for path in data]
    for dataset in datasets:
        if dataset.left_out:
            counts = ", ".join(f"{count} {what}" for what, count in dataset.left_out.items())
            warnings.warn(f"{dataset.name}: left out {counts}", stacklevel=2)
    run = _Run(**options)
    for model in run.embedders:
        for dataset in datasets:
            _warn_of_asymmetry(model, dataset)
    if rerank is not None:
        loaded = next(iter(run.embedders), None)
        scorer = options["models"][0].load_scorer(rerank, encoder=loaded)
        run.reranker = reranker(scorer, candidates=candidates)
    run.evaluate("retrieval", datasets)


@eval_command.command("clustering")
@_options
def clustering_command(data: Sequence[Path], **options: Any) -> None:  # noqa: ANN401
    """Clusters: tables with label and text (needs scikit-learn)."""
    from edge_embed.evaluation import ClusterSet

    _claimed(data, options)
    datasets = [ClusterSet.read(path) for path in data]
    _Run(**options).evaluate("clustering", datasets)


def _warn_of_asymmetry(model: Embedder, dataset: "RetrievalSet") -> None:
    difference = asymmetry(dataset.queries, dataset.documents)
    if model.card.training == "paraphrase" and difference:
        warnings.warn(
            f"{model.config.folder.resolve().name} was trained on paraphrases and {dataset.name} "
            f"has {difference}: a model that was trained for search will find more",
            stacklevel=2,
        )


def _loaded(options: ModelOptions) -> "Embedder | PairScorer":
    """Load an encoder or a pair model."""
    if options.model is not None and is_pair_model(
        resolve_model(options.model, revision=options.revision)
    ):
        return options.load_scorer(options.model)
    return options.load()


class _Run:
    """Loads the models, measures, and shows the results."""

    def __init__(
        self,
        *,
        models: Sequence[ModelOptions],
        json_file: str | None,
        plot_file: str | None,
        dims: Sequence[int],
        resamples: int,
        seed: int,
    ) -> None:
        from edge_embed.evaluation import Bootstrap

        check_suffix("plot", plot_file, ".png")
        if plot_file is not None:
            require_matplotlib()
        self._json_file = json_file
        self._plot_file = plot_file
        self._dims = dims
        self._bootstrap = Bootstrap(resamples=resamples, seed=seed)
        self.models = [_loaded(options) for options in models]
        self.reranker: Reranker | None = None
        """Reranks search results; None without reranking."""

    @property
    def embedders(self) -> list[Embedder]:
        """The models that embed texts."""
        return [model for model in self.models if isinstance(model, Embedder)]

    def evaluate(self, task: str, datasets: Sequence[Any]) -> Sequence[Any]:
        """Measure all models on all datasets and return the results."""
        from edge_embed.evaluation import as_json, compare, embedder_system, scorer_system, table

        systems = [
            embedder_system(model, dims=self._dims, reranker=self.reranker)
            if isinstance(model, Embedder)
            else scorer_system(model)
            for model in self.models
        ]
        results = []
        for result in compare(datasets, systems, bootstrap=self._bootstrap):
            results.append(result)
            echo(f"measured {result.system} on {result.dataset}", err=True)
        if self._plot_file is not None:
            from edge_embed.evaluation.plot import plot

            plot(results, Path(self._plot_file))
        document = as_json(task, results, systems, self._bootstrap)
        if not write_document(document, self._json_file):
            echo(table(results))
        return results
