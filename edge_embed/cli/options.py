"""Options that several commands share, and the model that they describe."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import click

from edge_embed.embedder import Embedder
from edge_embed.files.readers import READABLE
from edge_embed.model.config import VARIANTS
from edge_embed.runtime.config import Hint, InferencePrecision

__all__ = [
    "ModelOptions",
    "input_options",
    "model_options",
    "named_model_options",
    "several_model_options",
]

_Function = TypeVar("_Function", bound=Callable[..., Any])


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """Which model a command runs, and how."""

    model: str | None
    variant: str | None
    hint: Hint
    threads: int | None
    streams: int | None
    inference_precision: InferencePrecision
    no_cache: bool
    revision: str | None

    def load(self) -> Embedder:
        """Load the model."""
        return Embedder(**self.arguments())

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of :class:`Embedder`."""
        return {
            "model": self.model,
            "variant": self.variant,
            "hint": self.hint,
            "threads": self.threads,
            "streams": self.streams,
            "inference_precision": self.inference_precision,
            "cache": not self.no_cache,
            "revision": self.revision,
        }


def model_options(function: _Function) -> _Function:
    """Add the options that choose a model; the command receives them as ``options``."""
    choice = click.option(
        "-m", "--model", metavar="MODEL", help="A folder, a shipped model's name, or a hub id."
    )

    return _choosing(function, choice, lambda common, _: {"options": common})


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
    """Add ``choice``, which gives --model, and the other options; ``read`` makes arguments of them.

    It is called with the options and what --model was given.
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
    """Read each of several values; none stands for the model that ships."""
    return lambda common, given: {"models": tuple(read(common, one) for one in given or (None,))}


_RUN_OPTIONS: list[Callable[[Any], Any]] = [
    click.option(
        "--variant", type=click.Choice(list(VARIANTS)), help="Which weights; INT8 if there."
    ),
    click.option(
        "--hint",
        type=click.Choice(["throughput", "latency"]),
        default="throughput",
        show_default=True,
        help="Tune for bulk or for single texts.",
    ),
    click.option(
        "--threads",
        type=click.IntRange(min=1),
        help="Inference threads; else what affinity and the container's quota allow.",
    ),
    click.option(
        "--streams",
        type=click.IntRange(min=1),
        help="Batches computed side by side, at most one a thread; else by --hint.",
    ),
    click.option(
        "--inference-precision",
        type=click.Choice(["f32", "bf16", "f16"]),
        default="f32",
        show_default=True,
        help="Arithmetic outside the INT8 part. f32 gives the same vectors everywhere.",
    ),
    click.option("--no-cache", is_flag=True, help="Do not keep the compiled model on disk."),
    click.option("--revision", help="Branch, tag or commit of a hub id."),
]


def _model_options(arguments: dict[str, Any]) -> ModelOptions:
    """Take the options that describe a model out of ``arguments``."""
    return ModelOptions(**{name: arguments.pop(name) for name in ModelOptions.__dataclass_fields__})


def _with_variant(common: ModelOptions, name: str | None) -> ModelOptions:
    """Read ``MODEL:VARIANT``; a variant in the name wins over --variant."""
    model, _, variant = (name or "").rpartition(":")
    if model and variant in VARIANTS:
        return replace(common, model=model, variant=variant)
    return replace(common, model=name)


def _with_name(common: ModelOptions, value: str | None) -> tuple[str | None, ModelOptions]:
    """Read ``NAME=MODEL``; a folder may have a = in its own name."""
    name, equals, model = (value or "").partition("=")
    if equals and "/" not in name:
        return name, replace(common, model=model)
    return None, replace(common, model=value)


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
