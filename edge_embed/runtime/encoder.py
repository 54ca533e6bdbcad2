"""Load a model folder: tokenizer, batch planner and engine.

The model is a transformer in OpenVINO, a table of token vectors, or a table derived from the
transformer.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge_embed.errors import InputError, ModelFormatError
from edge_embed.model.config import ModelConfig
from edge_embed.model.consistency import check_consistency
from edge_embed.model.variants import STATIC
from edge_embed.runtime.config import RuntimeConfig
from edge_embed.runtime.engine import Engine
from edge_embed.runtime.graph import GraphBuilder, build_graph
from edge_embed.runtime.planner import BatchPlanner, tile_of
from edge_embed.runtime.tokenizer import Tokenizer

if TYPE_CHECKING:
    from edge_embed.runtime.static_engine import StaticEngine, StaticRows

__all__ = ["Encoder", "load_encoder", "load_transformer"]


@dataclass(frozen=True, kw_only=True)
class Encoder:
    """The parts of a loaded model."""

    config: ModelConfig
    """The folder's configuration; for a derived table, changed to describe that."""
    runtime: RuntimeConfig
    variant: str
    tokenizer: Tokenizer
    planner: "BatchPlanner | StaticRows"
    engine: "Engine | StaticEngine"
    derived: str | None = None
    """A hash of the derived table; None if the model is not derived."""

    @property
    def layers(self) -> int | None:
        """How many layers are computed; None is all of them."""
        return self.runtime.layers


def load_encoder(config: ModelConfig, runtime: RuntimeConfig, variant: str, file: Path) -> Encoder:
    """Load a model.

    Args:
        config: The model folder's configuration.
        runtime: How to run it.
        variant: Which of its weights, or ``static``.
        file: The file of the weights; for ``static`` those that the table is derived from.

    Raises:
        ModelFormatError: the files are missing, damaged or do not fit together.
        InputError: the folder has no such exit.
    """
    if config.is_table:
        return _table(config, runtime, variant, file)
    if variant != STATIC:
        return _transformer(config, runtime, variant, file)
    # Imported where they are needed, as few programs need them.
    from edge_embed.runtime.static_engine import StaticRows
    from edge_embed.runtime.static_pieces import static_pieces

    origin = config.variant_file()[0]
    pieces = static_pieces(
        config, runtime, origin, lambda: _transformer(config, runtime, origin, file)
    )
    engine = pieces.engine(pieces.english)
    return Encoder(
        config=pieces.config,
        runtime=runtime,
        variant=STATIC,
        tokenizer=pieces.tokenizer,
        planner=StaticRows(),
        engine=engine,
        derived=engine.digest,
    )


def load_transformer(
    config: ModelConfig,
    runtime: RuntimeConfig,
    variant: str,
    file: Path,
    tokenizer: Tokenizer,
    *,
    build: GraphBuilder = build_graph,
) -> tuple[Engine, BatchPlanner]:
    """Compile a transformer, and check that its files are those of one model.

    Args:
        config: The model folder's configuration.
        runtime: How to run it.
        variant: The variant of its weights.
        file: The .xml file of the variant.
        tokenizer: The folder's tokenizer.
        build: Makes the graph that is run from the one in the file.

    Raises:
        ModelFormatError: the files are missing, damaged or do not fit together.
        InputError: the folder has no such exit.
    """
    engine = Engine(config, runtime, file=file, build=build)
    check_consistency(config, engine.tables, graph=file, tokenizer=tokenizer)
    planner = BatchPlanner(
        max_length=config.max_seq_length,
        pad_id=config.pad_token_id,
        packed=engine.packed,
        tile=tile_of(variant),
    )
    return engine, planner


def _transformer(config: ModelConfig, runtime: RuntimeConfig, variant: str, file: Path) -> Encoder:
    tokenizer = Tokenizer(config)
    engine, planner = load_transformer(config, runtime, variant, file, tokenizer)
    return Encoder(
        config=config,
        runtime=runtime,
        variant=variant,
        tokenizer=tokenizer,
        planner=planner,
        engine=engine,
    )


def _table(config: ModelConfig, runtime: RuntimeConfig, variant: str, file: Path) -> Encoder:
    if runtime.layers is not None:
        raise InputError(f"{config.folder} is a table of token vectors: it has no layers to end at")
    from edge_embed.runtime.static_engine import StaticEngine, StaticRows, StaticTable

    tokenizer = Tokenizer(config, special_tokens=False)
    table = StaticTable.from_safetensors(file)
    if tokenizer.vocabulary_size > len(table):
        raise ModelFormatError(
            f"{config.folder}: tokenizer.json has ids up to {tokenizer.vocabulary_size - 1}, the "
            f"model a row for each id up to {len(table) - 1}: they are of two models; take both "
            "from one source, and convert again"
        )
    return Encoder(
        config=config,
        runtime=runtime,
        variant=variant,
        tokenizer=tokenizer,
        planner=StaticRows(),
        engine=StaticEngine(table, config.head),
    )
