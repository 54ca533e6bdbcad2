"""Embed a data set of any size on a Ray cluster.

Ray Data streams the rows through actors with a model each, and repeats the work of a lost actor.

>>> from functools import partial
>>> from edge_embed import Embedder
>>> from edge_embed.integrations.ray.embed import embed_parquet, ray_cluster
>>> with ray_cluster("auto"):  # doctest: +SKIP
...     load = partial(Embedder, threads=2)
...     embed_parquet("texts/", "vectors/", load, column="text", threads=2)
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge_embed.embedder import Embedder
from edge_embed.encoding import TruncationWarning, truncation_message
from edge_embed.errors import InputError, MissingExtraError
from edge_embed.files.atomic import atomic_folder, check_folder
from edge_embed.integrations.ray.cluster import (
    cluster_errors,
    on_actors,
    processors,
    ray_cluster,
)

try:
    import pyarrow
    import ray.data
except ImportError:
    raise MissingExtraError("embedding on a cluster", "ray", "ray") from None

__all__ = ["BatchEmbedder", "EmbeddedRows", "embed_dataset", "embed_parquet", "ray_cluster"]

# Rows in one call of the model: enough to fill its batches; they are repeated if the actor is lost.
_ROWS = 2048
# Texts that the calling process checks first, so that errors are reported early.
_TRIED = 64


class BatchEmbedder:
    """An actor with a model, for ``Dataset.map_batches(..., batch_format="pyarrow")``.

    It adds two columns to a table: ``output``, a fixed-size list of float32 (dim), and
    ``output_truncated``, a boolean: whether the text was longer than the model's limit.
    """

    def __init__(
        self,
        load: Callable[[], Embedder],
        *,
        column: str = "text",
        output: str = "embedding",
        prompt_name: str | None = None,
        normalize: bool = False,
        dim: int | None = None,
    ) -> None:
        """Load the model; options as for :meth:`Embedder.encode`."""
        self.model = load()
        self._column, self._output = column, output
        self._prompt = self.model.prompt(name=prompt_name)
        self._normalize, self._dim = normalize, dim
        self.model.check_dim(dim)

    def __call__(self, table: Any) -> Any:  # noqa: ANN401
        """Add the two columns to a ``pyarrow.Table``.

        Raises:
            InputError: the column is missing or holds something other than text, or an output
                column is there already.
        """
        truncated = f"{self._output}_truncated"
        if self._column not in table.column_names:
            names = ", ".join(table.column_names)
            raise InputError(f"there is no column {self._column!r}; it has: {names}")
        for name in (self._output, truncated):
            if name in table.column_names:
                raise InputError(f"there is a column {name!r} already: name another output")
        texts = table.column(self._column).to_pylist()
        for text in texts:
            if not isinstance(text, str):
                raise InputError(
                    f"the column {self._column!r} holds {text!r}, which is no text: filter such "
                    "rows out"
                )
        encoded = self.model.encode_detailed(
            texts, prompt=self._prompt, normalize=self._normalize, dim=self._dim
        )
        vectors = pyarrow.FixedSizeListArray.from_arrays(
            pyarrow.array(encoded.vectors.reshape(-1)), encoded.vectors.shape[1]
        )
        cut = np.zeros(len(texts), bool)
        cut[encoded.truncated] = True
        table = table.append_column(self._output, vectors)
        return table.append_column(truncated, pyarrow.array(cut))


@dataclass(frozen=True)
class EmbeddedRows:
    """The result of :func:`embed_parquet`."""

    rows: int
    """Number of rows."""
    truncated: int
    """How many of their texts were longer than the model's limit, and were cut."""


def embed_dataset(
    data: Any,  # noqa: ANN401
    load: Callable[[], Embedder],
    *,
    threads: int = 1,
    column: str = "text",
    output: str = "embedding",
    prompt_name: str | None = None,
    normalize: bool = False,
    dim: int | None = None,
) -> Any:  # noqa: ANN401
    """Return a ``ray.data.Dataset`` with the columns of :class:`BatchEmbedder`, computed lazily.

    Args:
        data: A ``ray.data.Dataset`` with a column of texts.
        load: Loads a model with ``threads`` threads; called once in each actor of a pool that grows
            to the size of the cluster.
        threads: Processors of an actor.
        column: The column of the texts.
        output: The column to add for the vectors.
        prompt_name: The name of one of the model's prompts.
        normalize: Scale vectors to unit length.
        dim: The number of leading dimensions to keep; None is all.

    Raises:
        InputError: no node has that many processors.
    """
    return on_actors(
        data.map_batches,
        BatchEmbedder,
        fn_constructor_args=(load,),
        fn_constructor_kwargs={
            "column": column,
            "output": output,
            "prompt_name": prompt_name,
            "normalize": normalize,
            "dim": dim,
        },
        batch_format="pyarrow",
        batch_size=_ROWS,
        zero_copy_batch=True,
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=processors(threads)),
        num_cpus=threads,
    )


def embed_parquet(
    source: str | Path,
    folder: str | Path,
    load: Callable[[], Embedder],
    *,
    threads: int = 1,
    column: str = "text",
    output: str = "embedding",
    prompt_name: str | None = None,
    normalize: bool = False,
    dim: int | None = None,
) -> EmbeddedRows:
    """Embed a .parquet file, or a folder of them, into a folder of .parquet files.

    All columns are kept, the order of the rows is not. The folder is written atomically.

    Args:
        source: The file or folder to read; every node must see it under the same path.
        folder: The folder to write, new or empty; every node must see it under the same path.
        load: Loads a model with ``threads`` threads, see :func:`embed_dataset`.
        threads: Processors of an actor.
        column: The column of the texts.
        output: The column to add for the vectors.
        prompt_name: The name of one of the model's prompts.
        normalize: Scale vectors to unit length.
        dim: The number of leading dimensions to keep; None is all.

    Raises:
        InputError: the source cannot be read, or an option cannot be used with it.
        OutputError: the folder cannot be written.
        ClusterError: the cluster cannot finish.
        ModelNotFoundError: no such model.
    """
    source, folder = Path(source).resolve(), Path(folder).resolve()
    check_folder(folder)
    if not source.exists():
        raise InputError(f"no such file: {source}")
    options: dict[str, Any] = {
        "column": column,
        "output": output,
        "prompt_name": prompt_name,
        "normalize": normalize,
        "dim": dim,
    }
    first = BatchEmbedder(load, **options)
    try:
        data = ray.data.read_parquet(str(source))
        tried = data.limit(_TRIED).take_batch(_TRIED, batch_format="pyarrow")
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        told = f"cannot read {source} as Parquet"
        raise InputError(": ".join([told, *str(error).strip().splitlines()[:1]])) from error
    first(tried)
    limit = first.model.max_seq_length
    del first
    with cluster_errors(), atomic_folder(folder) as temporary:
        embed_dataset(data, load, threads=threads, **options).write_parquet(str(temporary))
        cut = ray.data.read_parquet(str(temporary), columns=[f"{output}_truncated"])
        result = EmbeddedRows(cut.count(), int(cut.sum(f"{output}_truncated") or 0))
    if result.truncated:
        message = truncation_message(result.truncated, result.rows, limit)
        warnings.warn(message, TruncationWarning, stacklevel=2)
    return result
