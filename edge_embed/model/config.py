"""The configuration of a model folder, read from its files; nothing is guessed."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from edge_embed.errors import InputError, ModelFormatError
from edge_embed.files.typed_json import typed
from edge_embed.model.dense import table_width
from edge_embed.model.exits import Exit, read_exits
from edge_embed.model.json_files import malformed, number_of, read_json
from edge_embed.model.kinds import require_encoder
from edge_embed.model.modules import HeadStep, TableModules, read_head, read_modules, table_modules
from edge_embed.model.positions import first_position
from edge_embed.model.transformer_settings import check_settings
from edge_embed.model.variants import TABLES, VARIANTS, choose_variant, variants_of
from edge_embed.vectors import Similarity

__all__ = [
    "POOLING_KEYS",
    "VARIANTS",
    "ModelConfig",
    "PoolingMode",
    "lower_cased",
    "max_seq_length",
]

PoolingMode = Literal["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]

POOLING_KEYS: Mapping[str, PoolingMode] = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
"""The older boolean keys of 1_Pooling/config.json, in the order of concatenation."""

# The token limit of a table of token vectors: the table sets none, but memory is bounded.
_TABLE_LIMIT = 1 << 16
_EXTRA = "config_sentence_transformers.json"

# model_max_length is 1e30 in tokenizers that know no limit.
_NO_LIMIT = 1_000_000


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """A model folder in sentence-transformers layout, as its own files describe it."""

    folder: Path
    model_type: str
    """The architecture's name in config.json, such as ``albert`` or ``bert``."""
    hidden_size: int
    """Width of a token's state before pooling."""
    pooling: tuple[PoolingMode, ...]
    """Pooling modes; several are concatenated."""
    include_prompt: bool
    """Whether the prompt's tokens take part in pooling."""
    head: tuple[HeadStep, ...]
    """What follows pooling, in order: layers, and ``normalize`` (scaling to unit length)."""
    max_seq_length: int
    """Longest input in tokens, special tokens included."""
    first_position: int
    """Row of the position table that a text's first token reads."""
    position_table: int | None
    """Rows of the table of position embeddings, where there is one."""
    pad_token_id: int
    """Token id that fills shorter rows; RoBERTa-like models also derive positions from it."""
    lowercase: bool
    """Whether texts are lower-cased before tokenization (``do_lower_case``)."""
    prompts: Mapping[str, str] = field(default_factory=dict)
    default_prompt_name: str | None = None
    similarity: Similarity = "cosine"
    """How the model's vectors are compared (``similarity_fn_name``)."""
    truncate_dim: int | None = None
    """How many dimensions of a vector the model keeps; None keeps all."""
    exits: Mapping[int, Exit] = field(default_factory=dict)
    """Early exits by number of layers, fewest first."""
    transformer: str = ""
    """Where the transformer's files are, below the folder."""
    is_table: bool = False
    """Whether the model is a table of token vectors (StaticEmbedding), without a transformer."""

    @property
    def transformer_folder(self) -> Path:
        """The folder of the transformer's config.json."""
        return self.folder / self.transformer

    @property
    def dim(self) -> int:
        """Number of dimensions of a sentence embedding."""
        layers = [step for step in self.head if step != "normalize"]
        full = layers[-1].out_features if layers else self.hidden_size * len(self.pooling)
        return min(full, self.truncate_dim or full)

    @property
    def normalize(self) -> bool:
        """Whether the model's own vectors have unit length."""
        return self.head[-1:] == ("normalize",) and self.truncate_dim is None

    def require_cosine(self, method: str) -> None:
        """Refuse a method that compares by cosine where the model's vectors are not meant for it.

        Unit vectors have the same order by cosine, dot product and Euclidean distance, so a model
        with unit vectors is accepted whatever its similarity.

        Args:
            method: What the error message calls the method, such as ``an index``.

        Raises:
            InputError: The model's similarity is not cosine, and its vectors are not unit vectors.
        """
        alike = ("cosine", "dot", "euclidean") if self.normalize else ("cosine",)
        if self.similarity not in alike:
            raise InputError(
                f"{method} compares by cosine, and the vectors of {self.folder} are to be compared "
                f"by {self.similarity} (similarity_fn_name in {_EXTRA}): choose a model for cosine"
            )

    @property
    def variants(self) -> dict[str, Path]:
        """The weights in the folder: variant name to .xml file or table, INT8 first."""
        return variants_of(self.folder, table=self.is_table)

    def variant_file(self, variant: str | None = None) -> tuple[str, Path]:
        """Return name and file of ``variant``, or of the preferred one.

        Raises:
            InputError: the name is unknown.
            ModelFormatError: the folder does not hold it.
        """
        return choose_variant(self.folder, variant, table=self.is_table)

    @classmethod
    def from_folder(cls, folder: str | Path) -> "ModelConfig":
        """Read the configuration of a model folder.

        Raises:
            ModelFormatError: a file is missing, is damaged, or describes a step that this package
                does not run. Pooling is never guessed.
        """
        with malformed(Path(folder)):
            return cls._read(Path(folder))

    @classmethod
    def _read(cls, folder: Path) -> "ModelConfig":
        require_encoder(folder)
        if (table := table_modules(folder)) is not None:
            return cls._read_table(folder, table)
        transformer_folder, pooling_folder, modules = read_modules(folder)
        config = read_json(transformer_folder / "config.json")
        pooling_file = pooling_folder / "config.json"
        pooling = read_json(pooling_file)
        hidden_size = number_of(pooling, "embedding_dimension", "word_embedding_dimension")
        if hidden_size is None or hidden_size < 1:
            raise ModelFormatError(f"{pooling_file} does not say its word_embedding_dimension")
        modes = _pooling_modes(pooling, pooling_file)
        settings_file = transformer_folder / "sentence_bert_config.json"
        transformer = read_json(settings_file, optional=True)
        check_settings(transformer, settings_file)
        extra = read_json(folder / _EXTRA, optional=True)
        return cls(
            folder=folder,
            model_type=typed(str, config.get("model_type", "unknown"), "model_type"),
            hidden_size=hidden_size,
            pooling=modes,
            include_prompt=typed(bool, pooling.get("include_prompt", True), "include_prompt"),
            head=read_head(modules, hidden_size * len(modes)),
            max_seq_length=max_seq_length(folder, transformer, config),
            first_position=first_position(config),
            position_table=number_of(config, "max_position_embeddings", "n_positions"),
            pad_token_id=number_of(config, "pad_token_id") or 0,
            lowercase=lower_cased(transformer),
            prompts=_prompts(extra, folder),
            default_prompt_name=typed(
                str | None,
                extra.get("default_prompt_name"),
                "default_prompt_name",
            ),
            similarity=_similarity(extra, folder),
            exits=read_exits(folder),
            transformer=os.path.relpath(transformer_folder, folder),
            truncate_dim=_truncate_dim(extra, folder),
        )

    @classmethod
    def _read_table(cls, folder: Path, table: TableModules) -> "ModelConfig":
        """Read a model that is a table of token vectors, without a transformer."""
        extra = read_json(folder / _EXTRA, optional=True)
        file = next(iter(variants_of(folder, table=True).values()), folder / TABLES["fp32"])
        width = table_width(file)
        return cls(
            folder=folder,
            model_type="static embedding",
            hidden_size=width,
            pooling=("mean",),
            include_prompt=True,
            head=read_head(table.head, width),
            max_seq_length=_TABLE_LIMIT,
            first_position=0,
            position_table=None,
            pad_token_id=0,
            lowercase=False,
            prompts=_prompts(extra, folder),
            default_prompt_name=typed(
                str | None, extra.get("default_prompt_name"), "default_prompt_name"
            ),
            similarity=_similarity(extra, folder),
            truncate_dim=_truncate_dim(extra, folder),
            is_table=True,
        )


def _prompts(extra: dict[str, Any], folder: Path) -> dict[str, str]:
    """Read the prompts by name; null counts as an empty prompt."""
    prompts = extra.get("prompts") or {}
    if not isinstance(prompts, dict) or any(
        not isinstance(prompt, (str, type(None))) for prompt in prompts.values()
    ):
        raise ModelFormatError(f"{folder / _EXTRA} should map names of prompts to texts")
    return {name: prompt or "" for name, prompt in prompts.items()}


def _similarity(extra: dict[str, Any], folder: Path) -> Similarity:
    name = extra.get("similarity_fn_name") or "cosine"
    for known in get_args(Similarity):
        if name == known:
            return known  # type: ignore[no-any-return]
    raise ModelFormatError(
        f"{folder / _EXTRA} names the similarity {name!r}: known are "
        f"{', '.join(get_args(Similarity))}"
    )


def _truncate_dim(extra: dict[str, Any], folder: Path) -> int | None:
    dim = extra.get("truncate_dim")
    if dim is not None and (type(dim) is not int or dim < 1):
        raise ModelFormatError(
            f"{folder / _EXTRA} has the truncate_dim {dim!r:.40}; it must be a number of dimensions"
        )
    return dim


def _pooling_modes(pooling: dict[str, Any], file: Path) -> tuple[PoolingMode, ...]:
    mode = typed(str | tuple[str, ...] | None, pooling.get("pooling_mode"), "pooling_mode")
    modes: list[Any]
    if mode is None:
        modes = [
            name for key, name in POOLING_KEYS.items() if typed(bool | None, pooling.get(key), key)
        ]
    else:
        modes = [mode] if isinstance(mode, str) else list(mode)
    known = get_args(PoolingMode)
    if not modes or any(name not in known for name in modes):
        raise ModelFormatError(f"{file} names no known pooling mode: choose of {', '.join(known)}")
    return tuple(modes)


def lower_cased(transformer: dict[str, Any]) -> bool:
    """Return whether sentence_bert_config.json asks for lower case."""
    return bool(typed(bool | None, transformer.get("do_lower_case"), "do_lower_case"))


def max_seq_length(folder: Path, transformer: dict[str, Any], config: dict[str, Any]) -> int:
    """Return the token limit of a text, special tokens included.

    It is ``max_seq_length`` in sentence_bert_config.json, else ``model_max_length`` in
    tokenizer_config.json, and at most the number of rows of the position table from
    :func:`~edge_embed.model.positions.first_position` on.

    Args:
        folder: The transformer's folder, with its tokenizer_config.json.
        transformer: The content of sentence_bert_config.json.
        config: The content of config.json.

    Raises:
        ModelFormatError: No file states a limit, or it is below 1.
    """
    positions = number_of(config, "max_position_embeddings", "n_positions")
    if positions is not None:
        positions -= first_position(config)
    limit = number_of(transformer, "max_seq_length")
    if limit is None:
        settings = read_json(folder / "tokenizer_config.json", optional=True)
        stated = typed(float | None, settings.get("model_max_length"), "model_max_length")
        limit = None if stated is None or stated > _NO_LIMIT else int(stated)
    limits = [value for value in (limit, positions) if value is not None]
    if not limits or min(limits) < 1:
        raise ModelFormatError(
            f"{folder} does not say its token limit: set max_seq_length in "
            "sentence_bert_config.json"
        )
    return min(limits)
