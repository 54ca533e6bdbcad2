"""Options that several commands share."""

from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from edge_embed.embedder import Embedder
from edge_embed.errors import InputError
from edge_embed.files.formats import READABLE
from edge_embed.hardware.processors import usable_processors
from edge_embed.model.variants import STATIC, VARIANTS
from edge_embed.runtime.compile_cache import cache_folder
from edge_embed.runtime.config import RuntimeConfig, choices_of
from edge_embed.runtime.tuning import tuned_streams

if TYPE_CHECKING:
    from edge_embed.pairs.scorer import PairScorer

__all__ = [
    "ModelOptions",
    "candidates_option",
    "input_options",
    "model_options",
    "named_model_options",
    "several_model_options",
]

_Function = TypeVar("_Function", bound=Callable[..., Any])

candidates_option = click.option(
    "--candidates",
    type=click.IntRange(min=1),
    default=50,
    show_default=True,
    help="With --rerank: how many hits it reads of each query.",
)


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """Which model a command runs, and how."""

    model: str | None
    variant: str | None
    no_cache: bool
    revision: str | None
    engine: Mapping[str, Any]
    """Options of :class:`~edge_embed.runtime.config.RuntimeConfig`, by their names."""

    def load(self) -> Embedder:
        """Load the model."""
        return Embedder(**self.arguments())

    def load_scorer(self, model: str, *, encoder: Embedder | None = None) -> "PairScorer":
        """Load a pair model with one output, with these options of the engine.

        Args:
            model: A folder, a shipped model's name, or a hub id.
            encoder: A loaded model, as for :class:`~edge_embed.pairs.scorer.PairScorer`.

        Raises:
            InputError: the model has several outputs.
        """
        from edge_embed.pairs.scorer import PairScorer

        # --layers is for the embedding model only.
        engine = {name: value for name, value in self.engine.items() if name != "layers"}
        scorer = PairScorer(model, cache=not self.no_cache, encoder=encoder, **engine)
        if len(scorer.labels) != 1:
            raise InputError(
                f"{model} gives {len(scorer.labels)} numbers a pair ({', '.join(scorer.labels)}); "
                "give a cross-encoder of one score"
            )
        return scorer

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of :class:`Embedder`."""
        return {
            "model": self.model,
            "variant": self.variant,
            "cache": not self.no_cache,
            "revision": self.revision,
            **self.engine,
        }

    def for_queries(self) -> "ModelOptions":
        """Return the same options for a command that embeds a few queries at a time."""
        if self.engine["hint"] or self.engine["streams"]:
            return self
        return self.with_engine(hint="latency")

    def for_files(self) -> "ModelOptions":
        """Return the same options for a command that embeds whole files.

        On two threads with AMX, edge-embed-small has 1.15 times the throughput with two streams
        than with one, which is the default as single queries are faster with it. A result of
        ``bench tune`` takes precedence.
        """
        if self.engine["hint"] or self.engine["streams"]:
            return self
        threads = self.engine["threads"] or usable_processors().count
        if tuned_streams(cache_folder(not self.no_cache), threads) is not None:
            return self
        return self.with_engine(hint="throughput")

    def for_serving(self) -> "ModelOptions":
        """Return the same options for a server, which needs processor time for requests as well.

        Several streams, as an interrupted thread delays all others of its stream.
        """
        if self.engine["hint"] or self.engine["streams"]:
            return self
        return self.with_engine(hint="throughput")

    def with_engine(self, **changes: Any) -> "ModelOptions":  # noqa: ANN401
        """Return the same options with some options of the engine changed."""
        return replace(self, engine={**self.engine, **changes})


def model_options(function: _Function) -> _Function:
    """Add the options that choose a model; the command receives them as ``options``."""
    choice = click.option(
        "-m",
        "--model",
        metavar="MODEL[:LAYERS]",
        help="A folder, a shipped model's name, or a hub id.",
    )

    return _choosing(function, choice, lambda common, _: {"options": _with_exit(common)})


def several_model_options(function: _Function) -> _Function:
    """Add the options that choose models; the command receives ``models``, one for each -m."""
    choice = click.option(
        "-m",
        "--model",
        metavar="MODEL[:VARIANT]",
        multiple=True,
        help="A folder, a shipped model's name, or a hub id; give several to compare them.",
    )

    return _choosing(function, choice, _each(_with_variant))


def named_model_options(function: _Function) -> _Function:
    """Add the options that choose models by name; the command receives (name, options) pairs."""
    choice = click.option(
        "-m",
        "--model",
        metavar="[NAME=]MODEL",
        multiple=True,
        help="A folder, a shipped model's name, or a hub id; give several to choose by name.",
    )

    return _choosing(function, choice, _each(_with_name))


def _choosing(
    function: _Function,
    choice: Callable[[Any], Any],
    read: Callable[[ModelOptions, Any], dict[str, Any]],
) -> _Function:
    """Add the option ``choice`` (--model) and the other options of a model to a command.

    ``read`` is called with the options and the value of --model, and returns the arguments that
    replace them.
    """

    def command(**arguments: Any) -> Any:  # noqa: ANN401
        given = arguments["model"]
        chosen = read(_model_options(arguments), given)
        return function(**chosen, **arguments)

    command.__doc__ = function.__doc__
    return _decorated(command, [choice, *_RUN_OPTIONS])  # type: ignore[return-value]


def _each(
    read: Callable[[ModelOptions, str | None], Any],
) -> Callable[[ModelOptions, Any], dict[str, Any]]:
    """Apply ``read`` to each value of --model; without any, to None (the shipped model)."""
    return lambda common, given: {"models": tuple(read(common, one) for one in given or (None,))}


def _value(choices: tuple[str, ...], default: object) -> dict[str, Any]:
    if isinstance(default, bool):
        return {"is_flag": True}
    return {"type": click.Choice(choices) if choices else click.IntRange(min=1)}


def _engine_option(option: "Field[Any]") -> Callable[[Any], Any]:
    """Make a command's option of a field of RuntimeConfig."""
    choices = choices_of(option.name)
    return click.option(
        f"--{option.name.replace('_', '-')}",
        **_value(choices, option.default),
        default=option.default,
        show_default=option.default is not None,
        help=option.metadata["help"],
    )


_ENGINE_OPTIONS = [option for option in fields(RuntimeConfig) if "help" in option.metadata]

_RUN_OPTIONS: list[Callable[[Any], Any]] = [
    click.option(
        "--variant",
        type=click.Choice([*VARIANTS, STATIC]),
        help="Which weights; INT8 if there. static: token vectors made of them, averaged; fast, "
        "and less exact.",
    ),
    *(_engine_option(option) for option in _ENGINE_OPTIONS),
    click.option("--no-cache", is_flag=True, help="Do not keep the compiled model on disk."),
    click.option("--revision", help="Branch, tag or commit of a hub id."),
]


def _model_options(arguments: dict[str, Any]) -> ModelOptions:
    """Remove the options of a model from ``arguments`` and return them."""
    engine = {option.name: arguments.pop(option.name) for option in _ENGINE_OPTIONS}
    return ModelOptions(
        engine=engine,
        **{name: arguments.pop(name) for name in ("model", "variant", "no_cache", "revision")},
    )


def _with_variant(common: ModelOptions, name: str | None) -> ModelOptions:
    """Read ``MODEL:VARIANT``; a variant in the name overrides --variant."""
    model, _, variant = (name or "").rpartition(":")
    if model and variant in (*VARIANTS, STATIC):
        return replace(common, model=model, variant=variant)
    return _with_exit(replace(common, model=name))


def _with_exit(options: ModelOptions) -> ModelOptions:
    """Read ``MODEL:LAYERS``, an exit in the name; a folder may have such a name itself."""
    model, _, layers = (options.model or "").rpartition(":")
    if not model or not layers.isdecimal() or Path(options.model or "").exists():
        return options
    return replace(options, model=model).with_engine(layers=int(layers))


def _with_name(common: ModelOptions, value: str | None) -> tuple[str | None, ModelOptions]:
    """Read ``NAME=MODEL``; a folder may have a = in its own name."""
    name, equals, model = (value or "").partition("=")
    if equals and "/" not in name:
        return name, _with_exit(replace(common, model=model))
    options = _with_exit(replace(common, model=value))
    if options.model != value:  # a name of its own, so that the whole model can be served too
        return f"{Path(options.model or '').name}:{options.engine['layers']}", options
    return None, options


def input_options(function: _Function) -> _Function:
    """Add the options that choose input texts: -i, --column, --allow-empty."""
    decorators = [
        click.option(
            "-i",
            "--input",
            "source",
            metavar="FILE",
            type=click.Path(path_type=str, allow_dash=True),
            help=f"Texts: {', '.join(READABLE)}, or - for standard input.",
        ),
        click.option("--column", help="The column of the texts, where the file has several."),
        click.option("--allow-empty", is_flag=True, help="Embed empty texts instead of refusing."),
    ]
    return _decorated(function, decorators)


def _decorated(function: _Function, decorators: list[Callable[[Any], Any]]) -> _Function:
    for decorator in reversed(decorators):
        function = decorator(function)
    return function
