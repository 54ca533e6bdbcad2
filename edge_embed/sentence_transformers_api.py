"""The parts of ``SentenceTransformer``'s interface that an ``Embedder`` has besides ``encode``.

Arguments without effect here are accepted; arguments that would need torch, or another device, are
refused by name. If the program itself has imported torch, tensors can be returned, so that
``sentence_transformers.util.paraphrase_mining(Embedder(), texts)`` runs. This module never imports
torch.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from edge_embed.errors import InputError
from edge_embed.model.config import ModelConfig
from edge_embed.runtime.tokenizer import Tokenizer
from edge_embed.vectors import row_cosines, similarities

__all__ = ["OutputValue", "SentenceTransformersApi", "as_tensors", "check_arguments"]

OutputValue = Literal["sentence_embedding"]
Floats = npt.NDArray[np.float32]

_REMEDY = "leave it out, and convert with torch.from_numpy(vectors) where torch is wanted"


def check_arguments(
    *,
    output_value: str | None,
    convert_to_numpy: bool,
    convert_to_tensor: bool,
    device: object,
) -> None:
    """Check the arguments of ``encode`` that an ``Embedder`` supports only in part.

    Raises:
        InputError: another output or device is asked for, or tensors without torch imported.
    """
    if output_value != "sentence_embedding":
        raise InputError(
            f"output_value={output_value!r} is not offered, only 'sentence_embedding'; the "
            "server's /embed_all gives the states of single tokens"
        )
    devices = device if isinstance(device, list | tuple) else [device]
    for one in devices:
        if one is not None and str(one).partition(":")[0].lower() != "cpu":
            raise InputError(f"device={str(one)!r}: models run on the CPU; say 'cpu' or nothing")
    if (convert_to_tensor or not convert_to_numpy) and "torch" not in sys.modules:
        asked = "convert_to_tensor=True" if convert_to_tensor else "convert_to_numpy=False"
        raise InputError(f"{asked} needs torch, which this program has not imported: {_REMEDY}")


def as_tensors(
    vectors: npt.NDArray[Any], *, convert_to_numpy: bool, convert_to_tensor: bool
) -> Any:  # noqa: ANN401
    """Return vectors as ``SentenceTransformer.encode`` does: an array, a tensor, or several.

    ``vectors`` is (n, dim) or (dim,).
    """
    if convert_to_numpy and not convert_to_tensor:
        return vectors
    tensor = sys.modules["torch"].from_numpy(vectors)
    return tensor if convert_to_tensor or vectors.ndim == 1 else list(tensor)


class SentenceTransformersApi:
    """Methods of ``SentenceTransformer`` that build on ``encode`` and the model's configuration."""

    config: ModelConfig
    tokenizer: Tokenizer

    encode: Callable[..., npt.NDArray[Any]]

    def encode_query(
        self,
        inputs: str | Sequence[str] | None = None,
        prompt_name: str | None = None,
        prompt: str | None = None,
        *args: Any,  # noqa: ANN401
        **options: Any,  # noqa: ANN401
    ) -> npt.NDArray[Any]:
        """Embed search queries: :meth:`encode` with the model's ``query`` prompt, or with none."""
        if prompt_name is None and prompt is None:
            prompt_name = self.role_prompt("query")
            prompt = None if prompt_name else ""  # the default prompt is for encode alone
        return self.encode(_texts(inputs, options), prompt_name, prompt, *args, **options)

    def encode_document(
        self,
        inputs: str | Sequence[str] | None = None,
        prompt_name: str | None = None,
        prompt: str | None = None,
        *args: Any,  # noqa: ANN401
        **options: Any,  # noqa: ANN401
    ) -> npt.NDArray[Any]:
        """Embed documents: :meth:`encode` with the model's document prompt, or with none.

        The prompt is the first of ``document``, ``passage`` and ``corpus`` that the model has.
        """
        if prompt_name is None and prompt is None:
            prompt_name = self.role_prompt("document", "passage", "corpus")
            prompt = None if prompt_name else ""
        return self.encode(_texts(inputs, options), prompt_name, prompt, *args, **options)

    def encode_multi_process(
        self,
        sentences: Sequence[str],
        pool: Mapping[str, Any],
        *args: Any,  # noqa: ANN401
        **options: Any,  # noqa: ANN401
    ) -> npt.NDArray[Any]:
        """Embed texts; the same as :meth:`encode`, since one process uses all its processors.

        Args:
            sentences: Texts.
            pool: What :meth:`start_multi_process_pool` returned.
            args: ``prompt_name``, ``prompt``, ``batch_size``, ``chunk_size``, in this order.
            options: Options of :meth:`encode`.
        """
        names = ("prompt_name", "prompt", "batch_size", "chunk_size")
        return self.encode(sentences, **dict(zip(names, args, strict=False)), **options)

    def start_multi_process_pool(
        self, target_devices: Sequence[str] | None = None
    ) -> dict[str, Any]:
        """Return a handle for ``pool=``. No process is started: threads share the work already."""
        check_arguments(
            output_value="sentence_embedding",
            convert_to_numpy=True,
            convert_to_tensor=False,
            device=target_devices,
        )
        return {"input": None, "output": None, "processes": []}

    @staticmethod
    def stop_multi_process_pool(pool: Mapping[str, Any]) -> None:
        """Do nothing: there is no process to stop."""

    def similarity(
        self, first: npt.NDArray[Any] | Sequence[str], second: npt.NDArray[Any] | Sequence[str]
    ) -> Floats:
        """Return the similarity of each row of ``first`` with each of ``second``, float32 (n, m).

        It is the cosine, or the measure that the model's folder states (``similarity_fn_name``):
        the dot product, or the negated Euclidean or Manhattan distance.

        Args:
            first: Vectors (n, dim) or (dim,), or texts, which are embedded.
            second: The same, m of them.

        Raises:
            InputError: the two have different numbers of dimensions.
        """
        a, b = self._vectors(first), self._vectors(second)
        if a.shape[1] != b.shape[1]:
            raise InputError(f"cannot compare vectors of {a.shape[1]} and {b.shape[1]} dimensions")
        return similarities(a, b, self.config.similarity)

    def similarity_pairwise(self, embeddings1: npt.ArrayLike, embeddings2: npt.ArrayLike) -> Floats:
        """Return the similarity of each row with the same row of the other, float32 (n,).

        Args:
            embeddings1: Vectors (n, dim) or (dim,).
            embeddings2: The same number of vectors.

        Raises:
            InputError: the two have different shapes.
        """
        first, second = (
            np.atleast_2d(np.asarray(side, np.float32)) for side in (embeddings1, embeddings2)
        )
        if first.shape != second.shape:
            raise InputError(f"cannot pair vectors of shapes {first.shape} and {second.shape}")
        if self.similarity_fn_name == "euclidean":
            return np.asarray(-np.linalg.norm(first - second, axis=1), np.float32)
        if self.similarity_fn_name == "manhattan":
            return np.asarray(-np.abs(first - second).sum(axis=1), np.float32)
        if self.similarity_fn_name != "dot":
            return row_cosines(first, second)
        return np.asarray(np.sum(first * second, axis=1), np.float32)

    def prompt(self, prompt: str | None = None, *, name: str | None = None) -> str:
        """Return the prompt to prepend: ``prompt``, or that of ``name``, or the model's default.

        Raises:
            InputError: the model has no prompt of this name.
        """
        if prompt is not None:
            return prompt
        if name is None:
            name = self.config.default_prompt_name
        if name is None:
            return ""
        if name not in self.config.prompts:
            known = ", ".join(self.config.prompts) or "none"
            raise InputError(f"the model has no prompt {name!r}; it has: {known}")
        return self.config.prompts[name]

    def tokenize(self, texts: Sequence[str]) -> list[list[str]]:
        """Return each text's tokens as strings, with special tokens, truncated at the limit."""
        return self.tokenizer.tokens(texts)

    def count_tokens(self, texts: Sequence[str]) -> npt.NDArray[np.int64]:
        """Return each text's number of tokens, special ones included, untruncated: int64 (n,)."""
        return self.tokenizer.count(texts)

    @property
    def query_prompt(self) -> str:
        """The prompt that :meth:`encode_query` prepends; "" for none."""
        return self.config.prompts.get(self.role_prompt("query") or "", "")

    @property
    def document_prompt(self) -> str:
        """The prompt that :meth:`encode_document` prepends; "" for none."""
        name = self.role_prompt("document", "passage", "corpus")
        return self.config.prompts.get(name or "", "")

    def role_prompt(self, *names: str) -> str | None:
        """Return the first of ``names`` that the model has a prompt for, or None."""
        return next((name for name in names if name in self.config.prompts), None)

    def check_dim(self, dim: int | None) -> None:
        """Check the number of dimensions to keep; None keeps all.

        Raises:
            InputError: ``dim`` is not from 1 to the model's number of dimensions.
        """
        if dim is not None and not 1 <= dim <= self.config.dim:
            raise InputError(f"cannot keep {dim} dimensions: choose from 1 to {self.config.dim}")

    @property
    def similarity_fn_name(self) -> str:
        """How the model's vectors are compared: cosine, dot, euclidean or manhattan."""
        return self.config.similarity

    @property
    def prompts(self) -> dict[str, str]:
        """The model's prompts by their names."""
        return dict(self.config.prompts)

    @property
    def default_prompt_name(self) -> str | None:
        """The prompt that is used where none is named."""
        return self.config.default_prompt_name

    @property
    def max_seq_length(self) -> int:
        """Longest text in tokens, special tokens included; set by the model's folder.

        Raises:
            InputError: assigned another value.
        """
        return self.config.max_seq_length

    @max_seq_length.setter
    def max_seq_length(self, tokens: int) -> None:
        if tokens != self.config.max_seq_length:
            raise InputError(
                f"max_seq_length cannot be set to {tokens}: the model folder says "
                f"{self.config.max_seq_length} (sentence_bert_config.json)"
            )

    @property
    def device(self) -> str:
        """Where the model runs: ``cpu``."""
        return "cpu"

    def get_embedding_dimension(self) -> int:
        """Return the number of dimensions of a vector."""
        return self.config.dim

    def get_sentence_embedding_dimension(self) -> int:
        """Return the number of dimensions of a vector."""
        return self.config.dim

    def get_max_seq_length(self) -> int:
        """Return the length of the longest text in tokens, special tokens included."""
        return self.config.max_seq_length

    def get_backend(self) -> str:
        """Return the inference library's name, ``openvino``."""
        return "openvino"

    def _vectors(self, side: npt.NDArray[Any] | Sequence[str] | str) -> Floats:
        if isinstance(side, np.ndarray):
            return np.atleast_2d(side).astype(np.float32)
        return np.atleast_2d(self.encode(side))


def _texts(inputs: str | Sequence[str] | None, options: dict[str, Any]) -> str | Sequence[str]:
    """Return the texts, which were called ``sentences`` before sentence-transformers 6."""
    texts = options.pop("sentences", None) if inputs is None else inputs
    if texts is None:
        raise InputError("no texts are given: encode(texts)")
    return texts
