"""Convert a cross-encoder: copy its files, make its graphs, and compare their outputs.

``convert`` uses this module for a source whose ``config.json`` names a sequence classifier. The
resulting folder has the layout of sentence-transformers' CrossEncoder, whose OpenVINO backend can
load it too.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import openvino as ov
from openvino import opset13 as ops

from edge_embed.errors import ModelFormatError
from edge_embed.evaluation.metrics import spearman
from edge_embed.model.config import VARIANTS
from edge_embed.model.pair_config import COSINE_FILE, PairConfig
from edge_embed.model.receipt import PairAgreement, VariantReceipt
from edge_embed.runtime.pair_tokenizer import PairTokenizer
from edge_embed_conversion import quantize
from edge_embed_conversion.calibration import TextSet
from edge_embed_conversion.console import quiet_transformers, say
from edge_embed_conversion.export import refuse_full_disk, save_graph
from edge_embed_conversion.factorise import factorise_words, frequencies, word_table
from edge_embed_conversion.fidelity import EvaluationSet
from edge_embed_conversion.int4_words import EmbeddingBits, narrow_words
from edge_embed_conversion.layout import copy_tokenizer
from edge_embed_conversion.sources import Source
from edge_embed_conversion.weights import WeightsKind

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["PairBuild", "write_pair_layout"]

Logits = npt.NDArray[np.float32]
PairInputs = dict[str, npt.NDArray[np.int64]]

_OTHER_FILES = (
    "config.json",
    "config_sentence_transformers.json",
    "modules.json",
    "sentence_bert_config.json",
    "pair_threshold.json",
    COSINE_FILE,
)


def write_pair_layout(source: Path, folder: Path) -> str:
    """Copy every file but the weights from ``source`` into ``folder``.

    Returns:
        The origin of tokenizer.json, as :func:`~edge_embed_conversion.layout.write_layout` does.

    Raises:
        ModelFormatError: the source lacks a file, or states a setting that is not supported.
    """
    for name in _OTHER_FILES:
        if (source / name).is_file():
            shutil.copyfile(source / name, folder / name)
    for pattern in ("LICENSE*", "LICENCE*", "NOTICE*"):
        for path in source.glob(pattern):
            shutil.copyfile(path, folder / path.name)
    origin = copy_tokenizer(source, folder)
    PairConfig.from_folder(folder)
    return origin


class PairBuild:
    """Writes the graphs of a cross-encoder; ``build.Build`` does the same for an encoder.

    The constructor makes the FP32 graph; the methods write variants of it.
    """

    def __init__(self, source: Source, folder: Path, *, embedding_bits: EmbeddingBits = 8) -> None:
        """Export the checkpoint, or read the source's own OpenVINO graph.

        Raises:
            ModelFormatError: the source's weights are damaged, or no classifier.
        """
        self._source = source
        self._folder = folder
        self._config = PairConfig.from_folder(folder)
        self._variants: dict[str, VariantReceipt] = {}
        self._words: dict[str, Any] = {}
        self._bits = embedding_bits
        self._model: PreTrainedModel | None = None
        self._truth: Logits | None = None
        self._work = folder / ".work"
        self._work.mkdir()
        if source.weights.kind is WeightsKind.CHECKPOINT:
            say(f"graph: exporting {source.weights.file}")
            self._origin, self.reference_name = "exported", "the checkpoint in torch, float32"
            self._model = load_classifier(source.weights_path.parent)
            self._graph = export_classifier(self._model, self._work / "fp32.xml")
        else:
            say(f"graph: adopted {source.weights.file}")
            self._origin, self.reference_name = "adopted", "the source's graph"
            self._graph = _read(source.weights_path)
        if embedding_bits == 4:
            word_table(self._graph)  # refused before anything long is done
        self._whole = self._graph
        self._names = frozenset(port.get_any_name() for port in self._graph.inputs)

    def factorise_words(self, rank: int, file: str | Path | None) -> None:
        """Factorise the word table of the FP32 graph; variants written later are made from that.

        Raises:
            InputError: the rank does not fit, or the texts cannot be read.
            ModelFormatError: the graph has no word table.
        """
        counted = frequencies(self._folder / "tokenizer.json", file)
        self._graph = self._whole.clone()
        factors = factorise_words(self._graph, counted.counts, rank, evenly=self._bits == 4)
        say(f"words: rank {rank}, {factors.kept:.1%} of the variance in text kept")
        self._words = {"embedding_rank": rank, "frequencies": counted.name}

    def embed_source(self, evaluation: EvaluationSet) -> None:
        """Score the evaluation pairs with the FP32 source, and let go of its checkpoint.

        Quantization needs the memory.
        """
        run = torch_logits(self._model) if self._model is not None else graph_logits(self._whole)
        self._truth = np.concatenate([run(sample) for sample in self._inputs(evaluation)])
        self._model = None

    def write_int8(self, texts: TextSet, recipe: quantize.Int8Recipe) -> None:
        """Quantize weights and activations, calibrated on pairs of consecutive ``texts``.

        The head stays in floating point.
        """
        pairs = list(zip(texts.texts[::2], texts.texts[1::2], strict=False))
        say(f"quantize: INT8 weights and activations, {len(pairs)} pairs ({texts.name})")
        samples = _tokenized(self._config, pairs, self._names)
        ignored_layers = (*recipe.ignored_layers, *head_layers(self._graph))
        recipe = replace(recipe, ignored_layers=ignored_layers)
        int8 = quantize.quantize(self._graph, samples, recipe=recipe)
        halve_weights(int8, head_layers(self._graph))
        choices = asdict(recipe) | narrow_words(int8, self._graph, self._bits)
        ignored = tuple(choices.pop("ignored_layers"))
        self._write("int8", int8, "quantized", recipe=choices, ignored=ignored)

    def adopt_int8(self, file: str) -> None:
        """Copy the source's own INT8 graph."""
        say(f"quantize: nothing, adopted {file}")
        self._write("int8", _read(self._source.folder / file), "adopted")

    def write_w8(self) -> None:
        """Write the variant with INT8 weights and floating-point arithmetic."""
        say("quantize: INT8 weights only")
        graph = quantize.compress_weights(self._graph)
        narrowed = narrow_words(graph, self._graph, self._bits)
        self._write("w8", graph, "compressed", recipe={"mode": "int8_sym", **narrowed})

    def write_fp16(self) -> None:
        """Write the variant whose weights are stored in FP16."""
        self._write("fp16", self._graph, self._origin)

    def write_fp32(self) -> None:
        """Write the FP32 graph as a variant."""
        self._write("fp32", self._graph, self._origin)

    def measured(self, evaluation: EvaluationSet) -> dict[str, VariantReceipt]:
        """Return the variants with their agreement with the source on the evaluation pairs."""
        if self._truth is None:
            raise RuntimeError("embed_source comes first")
        inputs = self._inputs(evaluation)
        say(f"measure: {len(inputs)} pairs against {self.reference_name}")
        measured = {}
        for name, variant in self._variants.items():
            run = graph_logits(_read(self._folder / variant.file))
            agreed = agreement(np.concatenate([run(sample) for sample in inputs]), self._truth)
            size = (self._folder / variant.file).with_suffix(".bin").stat().st_size / 1e6
            say(
                f"  {name}: {size:.1f} MB, outputs differ by {agreed.difference_mean:.5f} on "
                f"average, Spearman of outputs {agreed.spearman:.5f}"
            )
            measured[name] = replace(variant, agreement=agreed)
        return measured

    def clean_up(self) -> None:
        """Remove the work folder."""
        shutil.rmtree(self._work)

    def _inputs(self, evaluation: EvaluationSet) -> list[PairInputs]:
        pairs = list(zip(evaluation.pairs.first, evaluation.pairs.second, strict=True))
        return _tokenized(self._config, pairs, self._names)

    def _write(
        self,
        name: str,
        graph: ov.Model,
        origin: str,
        *,
        recipe: Mapping[str, object] | None = None,
        ignored: tuple[str, ...] = (),
    ) -> None:
        save_graph(graph, self._folder / VARIANTS[name], fp16=name == "fp16")
        choices = {**self._words, **(recipe or {})}
        self._variants[name] = VariantReceipt(VARIANTS[name], origin, choices, ignored, None)


def head_layers(graph: ov.Model) -> tuple[str, ...]:
    """Return the names of the linear layers after pooling, whose results are (pairs, features).

    They are a thousandth of the arithmetic, and no later layer evens out their rounding.
    """
    products = [node for node in graph.get_ordered_ops() if node.get_type_name() == "MatMul"]
    ranks = [node.output(0).get_partial_shape().rank for node in products]
    return tuple(
        node.get_friendly_name()
        for node, rank in zip(products, ranks, strict=True)
        if rank.is_static and rank.get_length() == 2
    )


def halve_weights(graph: ov.Model, layers: Sequence[str]) -> None:
    """Store the weights of the linear layers with these names in FP16, in place."""
    for node in graph.get_ordered_ops():
        weight = node.input_value(1).get_node() if node.get_friendly_name() in layers else None
        if weight is not None and weight.get_type_name() == "Constant":
            half = ops.constant(np.asarray(weight.get_data(), np.float16))
            node.input(1).replace_source_output(ops.convert(half, "f32").output(0))


def _read(path: Path) -> ov.Model:
    try:
        return ov.Core().read_model(path)
    except RuntimeError as error:
        last = str(error).strip().splitlines()[-1]
        raise ModelFormatError(f"{path} or its .bin is damaged: {last}") from error


def load_classifier(folder: Path) -> "PreTrainedModel":
    """Load the sequence classifier of ``folder`` in float32, without running code of the folder.

    Raises:
        ModelFormatError: the weights are damaged or incomplete, or the architecture is unknown.
    """
    import torch
    import transformers

    try:
        with quiet_transformers():
            model, report = transformers.AutoModelForSequenceClassification.from_pretrained(
                folder,
                local_files_only=True,
                trust_remote_code=False,
                dtype=torch.float32,
                output_loading_info=True,
            )
    except Exception as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelFormatError(f"cannot load the checkpoint in {folder}: {first}") from error
    if missing := sorted(report["missing_keys"]):
        raise ModelFormatError(
            f"the checkpoint in {folder} lacks {len(missing)} weights, such as {missing[0]}"
        )
    classifier: PreTrainedModel = model.eval()
    return classifier


def export_classifier(model: "PreTrainedModel", path: Path) -> ov.Model:
    """Export a classifier to an FP32 graph with optimum-intel.

    Its inputs are ``input_ids``, ``attention_mask`` and, where the model has them,
    ``token_type_ids``, int64 (batch, tokens); its output is ``logits``, float32 (batch, labels).

    Raises:
        ModelFormatError: optimum-intel cannot export this architecture.
    """
    import optimum.exporters.openvino
    from optimum.exporters.tasks import TasksManager

    try:
        make_config = TasksManager.get_exporter_config_constructor(
            model=model,
            exporter="openvino",
            task="text-classification",
            library_name="transformers",
        )
        with quiet_transformers():
            optimum.exporters.openvino.export(
                model, make_config(model.config), output=path, stateful=False
            )
        return _read(path)
    except Exception as error:
        refuse_full_disk(error, path)
        kind = getattr(model.config, "model_type", type(model).__name__)
        raise ModelFormatError(
            f"optimum-intel cannot export a {kind} classifier: {error}"
        ) from error


def _tokenized(
    config: PairConfig, pairs: Sequence[tuple[str, str]], names: frozenset[str]
) -> list[PairInputs]:
    """Tokenize each pair into model inputs of its own, int64 arrays (1, tokens)."""
    samples = []
    tokenized = PairTokenizer(config).pairs(pairs)
    for ids, second in zip(tokenized.ids, tokenized.second.tolist(), strict=True):
        row = ids[None, :]
        types = np.zeros_like(row)
        types[:, second:] = 1
        every = {"input_ids": row, "attention_mask": np.ones_like(row), "token_type_ids": types}
        samples.append({name: array for name, array in every.items() if name in names})
    return samples


def torch_logits(model: "PreTrainedModel") -> Callable[[PairInputs], Logits]:
    """Compute logits, float32 (batch, labels), with a transformers classifier on torch."""
    import torch

    def run(inputs: PairInputs) -> Logits:
        tensors = {name: torch.from_numpy(array) for name, array in inputs.items()}
        with torch.inference_mode():
            array: Logits = model(**tensors).logits.numpy()
        return array

    return run


def graph_logits(graph: ov.Model) -> Callable[[PairInputs], Logits]:
    """Compute logits with OpenVINO on the CPU, in float32 besides the INT8 operations."""
    compiled = ov.Core().compile_model(
        graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    )
    names = [port.get_any_name() for port in compiled.inputs]

    def run(inputs: PairInputs) -> Logits:
        array: Logits = compiled({name: inputs[name] for name in names})[0].copy()
        return array

    return run


def agreement(outputs: Logits, truth: Logits) -> PairAgreement:
    """Compare logits with the source's, both float32 (pairs, labels)."""
    ours, theirs = outputs.astype(np.float64), truth.astype(np.float64)
    differences = np.abs(ours - theirs)
    weights = np.ones(len(ours))
    per_label = [spearman(ours[:, i], theirs[:, i])(weights) for i in range(ours.shape[1])]
    return PairAgreement(
        difference_mean=float(differences.mean()),
        difference_max=float(differences.max()),
        spearman=float(np.mean(per_label)),
    )
