"""The teacher's vectors of texts, computed by this project's own runtime.

For a mean-pooled teacher these are a vector of the sentence and one of each whitespace word, both
from one run of its graph of token states. For any other teacher they are sentence vectors only,
from :class:`edge_embed.Embedder`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import openvino as ov
from tokenizers import Encoding, Tokenizer

from edge_embed import Embedder
from edge_embed.model.config import ModelConfig
from edge_embed.runtime.config import InferencePrecision
from edge_embed_conversion.console import say

__all__ = ["Targets", "Teacher", "word_count"]

Half = npt.NDArray[np.float16]

# Padded tokens of one inference request.
_TOKEN_BUDGET = 1024
# Texts on which tokenizing word by word is compared with tokenizing the whole text.
_SAMPLE = 200


@dataclass(frozen=True)
class Targets:
    """The teacher's vectors of some texts, float16.

    ``sentences`` is (texts, dim), of unit length. ``words`` is (words of all texts, dim), where
    each text's opening and closing special tokens count as words; without word vectors it is
    (0, dim).
    """

    sentences: Half
    words: Half


def word_count(text: str) -> int:
    """Return the number of word vectors of ``text``: its words and two special tokens."""
    return len(text.split()) + 2


class Teacher:
    """Computes the teacher's vectors with a converted model folder."""

    def __init__(
        self, folder: Path, *, sample: Sequence[str], precision: InferencePrecision
    ) -> None:
        self._embedder = Embedder(folder, variant="fp32", inference_precision=precision)
        self.dim = self._embedder.dim
        self.gives_words = False
        config = ModelConfig.from_folder(folder)
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(config.max_seq_length)
        reason = self._why_no_words(config, sample[:_SAMPLE])
        if reason:
            say(f"teacher: sentence vectors alone, no word vectors: {reason}")
            return
        self.gives_words = True
        self._graph = ov.Core().compile_model(
            str(config.variant_file("fp32")[1]),
            "CPU",
            {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "THROUGHPUT"},
        )

    def _why_no_words(self, config: ModelConfig, sample: Sequence[str]) -> str:
        if config.pooling != ("mean",):
            return f"it pools by {', '.join(config.pooling)}, not by the mean"
        if config.lowercase or config.prompts.get(config.default_prompt_name or ""):
            return "it changes the text before tokenization"
        if config.pad_token_id != 0:
            return "its padding token is not 0"
        whole = self._tokenizer.encode_batch(list(sample))
        by_word = self._encode(sample)
        if any(one.ids != other.ids for one, other in zip(whole, by_word, strict=True)):
            return "its tokenizer does not work word by word"
        return ""

    def _encode(self, texts: Sequence[str]) -> list[Encoding]:
        words = [text.split() for text in texts]
        encodings: list[Encoding] = self._tokenizer.encode_batch(words, is_pretokenized=True)
        return encodings

    def targets(self, texts: Sequence[str]) -> Targets:
        """Return the sentence vectors of ``texts``, and their word vectors if ``gives_words``."""
        if not self.gives_words:
            vectors = self._embedder.encode(list(texts), normalize=True)
            return Targets(np.asarray(vectors, np.float16), np.zeros((0, self.dim), np.float16))
        encodings = self._encode(texts)
        counts = [word_count(text) for text in texts]
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        sentences = np.zeros((len(texts), self.dim), np.float16)
        words = np.zeros((int(offsets[-1]), self.dim), np.float16)

        def collect(request: ov.InferRequest, rows: list[int]) -> None:
            states = request.get_output_tensor(0).data
            for row, text in enumerate(rows):
                own = states[row, : len(encodings[text].ids)].astype(np.float32)
                mean = own.mean(axis=0)
                sentences[text] = mean / np.linalg.norm(mean)
                words[offsets[text] : offsets[text + 1]] = _by_word(
                    own, encodings[text].word_ids, counts[text]
                )

        queue = ov.AsyncInferQueue(self._graph)
        queue.set_callback(collect)
        for rows in _by_length([len(encoding.ids) for encoding in encodings]):
            queue.start_async(self._inputs([encodings[row].ids for row in rows]), rows)
        queue.wait_all()
        return Targets(sentences, words)

    def _inputs(self, ids: list[list[int]]) -> dict[str, npt.NDArray[np.int64]]:
        padded = np.zeros((len(ids), max(map(len, ids))), np.int64)
        mask = np.zeros_like(padded)
        for row, own in enumerate(ids):
            padded[row, : len(own)] = own
            mask[row, : len(own)] = 1
        every = {
            "input_ids": padded,
            "attention_mask": mask,
            "token_type_ids": np.zeros_like(padded),
        }
        names = {name for port in self._graph.inputs for name in port.names}
        return {name: value for name, value in every.items() if name in names}


def _by_word(
    states: npt.NDArray[np.float32], word_ids: list[int | None], count: int
) -> npt.NDArray[np.float32]:
    """Average token states (tokens, dim) to word vectors (count, dim); a truncated word is zero."""
    inner = [int(word) + 1 for word in word_ids[1:-1] if word is not None]
    index = np.asarray([0, *inner, count - 1])
    starts = np.flatnonzero(np.diff(index, prepend=-1))
    means = np.zeros((count, states.shape[1]), np.float32)
    sums = np.add.reduceat(states, starts, axis=0)
    means[index[starts]] = sums / np.diff(starts, append=len(index))[:, None]
    return means


def _by_length(lengths: list[int]) -> list[list[int]]:
    """Group rows of similar length within the token budget."""
    groups: list[list[int]] = [[]]
    for row in sorted(range(len(lengths)), key=lambda i: lengths[i]):
        if groups[-1] and lengths[row] * (len(groups[-1]) + 1) > _TOKEN_BUDGET:
            groups.append([])
        groups[-1].append(row)
    return groups if groups[0] else []
