"""The graphs of one conversion: the FP32 graph, its variants, and the fidelity of each."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import openvino as ov

from edge_embed.errors import EdgeEmbedError, InputError, ModelFormatError
from edge_embed.model.config import VARIANTS, ModelConfig
from edge_embed.model.consistency import check_consistency
from edge_embed.model.exits import EXITS_FILE, Exit
from edge_embed.model.receipt import Fidelity, VariantReceipt
from edge_embed.runtime.embedding_tables import embedding_tables
from edge_embed.runtime.tokenizer import Tokenizer
from edge_embed_conversion import export, quantize, reference
from edge_embed_conversion.calibration import TextSet, model_inputs, shipped_texts
from edge_embed_conversion.console import say
from edge_embed_conversion.exits import choose_exits, find_states
from edge_embed_conversion.factorise import factorise_words, frequencies, word_table
from edge_embed_conversion.fidelity import EvaluationSet, compare, loss
from edge_embed_conversion.int4_words import EmbeddingBits, narrow_words
from edge_embed_conversion.parity import (
    COSINE_FLOOR,
    cosines,
    runtime_vectors,
    same_as_source,
    samples_of,
)
from edge_embed_conversion.pipeline import Pipeline, why_no_pipeline
from edge_embed_conversion.sources import Source
from edge_embed_conversion.weights import WeightsKind

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["Build"]

Vectors = npt.NDArray[np.float32]

# Mean cosine above which a graph and a checkpoint are the same model; FP16 storage stays above it.
_SAME_MODEL = 0.999
_COMPARED_TEXTS = 32
# Mean cosine below which a source's INT8 graph was not made from its FP32 graph.
_SAME_INT8 = 0.9

# Loss in points above which remedies are printed; a well quantized encoder loses half as much.
_NOTABLE_LOSS = 1.0
_TEXTS_OF_EXITS = 256


class Build:
    """Writes the graphs of a model folder whose other files are written already.

    The constructor makes the FP32 graph, in a work folder inside the model folder. The methods
    write variants of it, :meth:`measured` measures them, and :meth:`clean_up` removes the work
    folder.
    """

    def __init__(self, source: Source, folder: Path, *, embedding_bits: EmbeddingBits = 8) -> None:
        """Export, convert or copy the FP32 graph of ``source``.

        Args:
            source: The model to convert.
            folder: The output, with every file but the graphs.
            embedding_bits: Bits of a value of the word table in quantized variants.

        Raises:
            ModelFormatError: the source's weights are damaged, or no encoder.
            OutputError: the disk is full.
        """
        self._source = source
        self._folder = folder
        self._config = ModelConfig.from_folder(folder)
        self._work = folder / ".work"
        self._work.mkdir()
        self._fp32 = self._whole = self._work / "fp32.xml"
        self._checkpoint: PreTrainedModel | None = None
        self._variants: dict[str, VariantReceipt] = {}
        self._words: dict[str, Any] = {}
        self._bits = embedding_bits
        self._exits: dict[int, Exit] = {}
        self._packed: bool | None = None
        self._truth: Vectors | None = None
        self._origin: str
        if source.weights.kind is WeightsKind.OPENVINO:
            self._origin, self.reference_name = "adopted", "the source's OpenVINO graph"
            say(f"graph: adopted {source.weights.file}")
            export.copy_graph(source.weights_path, self._fp32)
            if export.stored_in_half(export.read_graph(self._fp32)):
                say("graph: its weights are stored in FP16, and stay so where FP32 is named")
            self._compare_with_checkpoint()
        elif source.weights.kind is WeightsKind.CHECKPOINT:
            from edge_embed_conversion.checkpoint import load_checkpoint

            self.reference_name = "the checkpoint in torch, float32"
            say(f"graph: exporting {source.weights.file}")
            self._checkpoint = load_checkpoint(
                source.weights_path.parent, trust_remote_code=source.trust_remote_code
            )
            self._origin = export.export_checkpoint(self._checkpoint, self._fp32)
            if self._origin == "traced":
                say("graph: traced, as optimum-intel has no export for this encoder")
        else:
            self._origin, self.reference_name = "converted", "the FP32 graph made from ONNX"
            say(f"graph: converting {source.weights.file} with OpenVINO alone")
            export.save_graph(export.read_onnx(source.weights_path), self._fp32)
        if embedding_bits == 4:
            word_table(export.read_graph(self._fp32))  # refused before anything long is done
        check_consistency(
            self._config,
            embedding_tables(export.read_graph(self._fp32)),
            graph=self._fp32,
            tokenizer=Tokenizer(self._config),
        )

    def _compare_with_checkpoint(self) -> None:
        """Refuse a graph that was not made from the checkpoint in the same folder.

        Raises:
            ModelFormatError: graph and checkpoint give different vectors for the same texts.
        """
        source = self._source
        if source.checkpoint is None:
            return
        if find_spec("torch") is None or find_spec("transformers") is None:
            say(
                f"graph: not compared with {source.checkpoint} beside it, which needs torch: "
                "--re-export takes that"
            )
            return
        texts = shipped_texts("evaluation").texts[:_COMPARED_TEXTS]
        states = reference.graph_states(export.read_graph(self._fp32))
        ours = reference.embed(states, self._config, texts)
        theirs = reference.embed(reference.source_states(source), self._config, texts)
        cosine = compare(ours, theirs).cosine_mean
        if not cosine >= _SAME_MODEL:
            raise ModelFormatError(
                f"{source.weights.file} was not made of {source.checkpoint} beside it: the cosine "
                f"of their vectors is {cosine:.3f}; --re-export takes the checkpoint, or remove "
                "the one of the two that is out of date"
            )
        say(f"graph: {source.checkpoint} beside it gives the same vectors (cosine {cosine:.5f})")

    def factorise_words(self, rank: int, file: str | Path | None) -> None:
        """Factorise the word table of the FP32 graph; variants written later are made from that.

        Raises:
            InputError: the rank does not fit, or the texts cannot be read.
            ModelFormatError: the graph has no word table.
        """
        counted = frequencies(self._folder / "tokenizer.json", file)
        graph = export.read_graph(self._fp32)
        factors = factorise_words(graph, counted.counts, rank, evenly=self._bits == 4)
        self._whole, self._fp32 = self._fp32, self._work / "factorised.xml"
        export.save_graph(graph, self._fp32)
        rows, width = len(factors.table), factors.up.shape[1]
        say(
            f"words: {rows} x {width} becomes {rows} x {rank}, {factors.kept:.1%} of the variance "
            f"in text kept (frequencies: {counted.name})"
        )
        self._words = {"embedding_rank": rank, "frequencies": counted.name}

    def choose_exits(self, layers: Sequence[int]) -> None:
        """Choose an early exit for each number of ``layers`` and write ``exits.json``.

        Raises:
            InputError: the model does not have more layers than that, or its source is only a
                graph.
            ModelFormatError: no node of the graph has the states after a layer.
        """
        if self._checkpoint is None:
            raise InputError("exits are found with the checkpoint; this source is only a graph")
        states = find_states(export.read_graph(self._whole), self._checkpoint)
        texts = shipped_texts("calibration").texts[:_TEXTS_OF_EXITS]

        def vectors_with(exit_: Exit | None) -> Vectors:
            config = replace(self._config, exits={} if exit_ is None else {1: exit_})
            return runtime_vectors(
                config, self._fp32, texts, packed=False, layers=None if exit_ is None else 1
            )[0]

        self._exits = choose_exits(states, layers, vectors_with)
        for number, exit_ in self._exits.items():
            how = "by leaving out layers" if exit_.bypasses else "by ending early"
            say(f"exits: {number} layers {how}, similarities correlate {exit_.agreement:.3f}")
        entries = {str(number): exit_.as_json() for number, exit_ in self._exits.items()}
        text = json.dumps({"layers": list(self._exits), "exits": entries}, indent=2) + "\n"
        (self._folder / EXITS_FILE).write_text(text, encoding="utf-8")

    def compare_with_source(self) -> None:
        """Compare the FP32 graph, as the runtime runs it, with the source's own pipeline.

        Also decides whether several texts may be packed into one row.

        Raises:
            EdgeEmbedError: the cosine of a text's two vectors is below ``COSINE_FLOOR``.
        """
        texts = [sample.text for sample in samples_of(self._config)]
        vectors, packed = runtime_vectors(self._config, self._fp32, texts)
        if packed:
            padded, _ = runtime_vectors(self._config, self._fp32, texts, packed=False)
            self._packed = bool(cosines(vectors, padded).min() >= COSINE_FLOOR)
        elif self._config.include_prompt:  # else packing is off because the prompt is not pooled
            self._packed = False
        if self._packed is False:
            say("packing: none, as texts of one row would see each other; each has its own row")
        if self._checkpoint is None:
            return
        if why_not := why_no_pipeline(self._source):
            say(f"compare: torch alone is the reference; {why_not}")
            return
        found = same_as_source(self._config, vectors, Pipeline.open(self._source))
        if not found.same:
            raise EdgeEmbedError(
                f"the converted model differs from sentence-transformers on {found.worst} (cosine "
                f"{found.lowest:.4f}, at least {COSINE_FLOOR}): nothing was written"
            )
        say(f"compare: {found.texts} texts as in sentence-transformers, lowest {found.lowest:.6f}")
        if found.tokenized_otherwise:
            say(
                f"compare: {', '.join(found.tokenized_otherwise)}: transformers makes other tokens "
                "than the model's tokenizer.json, which is followed here (same vectors of its own)"
            )

    def embed_source(self, evaluation: EvaluationSet) -> None:
        """Embed the evaluation texts with the FP32 source, and let go of its checkpoint.

        Quantization needs the memory; whatever else needs the checkpoint comes before.
        """
        if self._checkpoint is not None:
            states = reference.torch_states(self._checkpoint)
        else:
            states = reference.graph_states(export.read_graph(self._whole))
        self._truth = reference.embed(states, self._config, evaluation.all_texts)
        self._checkpoint = None

    def write_int8(self, texts: TextSet, recipe: quantize.Int8Recipe) -> None:
        """Quantize weights and activations, calibrated on ``texts``."""
        say(f"quantize: INT8 weights and activations, {len(texts.texts)} texts ({texts.name})")
        graph = export.read_graph(self._fp32)
        names = frozenset(port.get_any_name() for port in graph.inputs)
        samples = model_inputs(self._config, texts, names)
        int8 = quantize.quantize(graph, samples, recipe=recipe)
        _require_nodes(int8, self._exits)
        narrowed = narrow_words(int8, graph, self._bits)
        export.save_graph(int8, self._folder / VARIANTS["int8"])
        choices = asdict(recipe) | narrowed
        ignored = tuple(choices.pop("ignored_layers"))
        self._add("int8", "quantized", recipe=choices, ignored=ignored)

    def adopt_int8(self, file: str) -> None:
        """Copy the source's own INT8 graph."""
        say(f"quantize: nothing, adopted {file}")
        export.read_graph(self._source.folder / file)
        export.copy_graph(self._source.folder / file, self._folder / VARIANTS["int8"])
        self._add("int8", "adopted")

    def write_w8(self) -> None:
        """Write the variant with INT8 weights and floating-point arithmetic."""
        say("quantize: INT8 weights only")
        graph = export.read_graph(self._fp32)
        w8 = quantize.compress_weights(graph)
        narrowed = narrow_words(w8, graph, self._bits)
        export.save_graph(w8, self._folder / VARIANTS["w8"])
        self._add("w8", "compressed", recipe={"mode": "int8_sym", **narrowed})

    def write_fp16(self) -> None:
        """Write the variant whose weights are stored in FP16."""
        say("graph: weights to FP16")
        export.save_graph(export.read_graph(self._fp32), self._folder / VARIANTS["fp16"], fp16=True)
        self._add("fp16", self._origin)

    def write_fp32(self) -> None:
        """Write the FP32 graph as a variant."""
        export.copy_graph(self._fp32, self._folder / VARIANTS["fp32"])
        self._add("fp32", self._origin)

    def measured(self, evaluation: EvaluationSet) -> dict[str, VariantReceipt]:
        """Return the variants with their fidelity to the FP32 source, embedded before.

        An FP32 graph that is itself the reference gets no figures.

        Raises:
            ModelFormatError: the source's own INT8 graph was not made from its FP32 graph.
        """
        if self._truth is None:
            raise RuntimeError("embed_source comes first")
        texts = evaluation.all_texts
        say(f"measure: {len(texts)} texts against {self.reference_name}")
        exported = self._source.weights.kind is WeightsKind.CHECKPOINT
        measured = {}
        for name, variant in self._variants.items():
            if name == "fp32" and not exported and not self._words:
                measured[name] = variant
                continue
            graph = export.read_graph(self._folder / variant.file)
            vectors = reference.embed(reference.graph_states(graph), self._config, texts)
            fidelity = evaluation.compare(vectors, self._truth)
            say(_summary(name, self._folder / variant.file, fidelity))
            if name == "int8" and loss(fidelity) > _NOTABLE_LOSS:
                say(
                    f"  int8 loses {loss(fidelity):.1f} points of 100 in the order of "
                    "similarities: --calibration FILE with texts like yours, or --precision w8 "
                    "(as small, slower) lose less"
                )
            if variant.origin == "adopted" and name == "int8" and fidelity.cosine_mean < _SAME_INT8:
                raise ModelFormatError(
                    f"the INT8 graph of the source was not made of its {self.reference_name}: the "
                    f"cosine of their vectors is {fidelity.cosine_mean:.3f}; --re-export quantizes "
                    "anew"
                )
            measured[name] = replace(variant, fidelity=fidelity)
        return {name: replace(v, packed=self._packed) for name, v in measured.items()}

    def clean_up(self) -> None:
        """Remove the work folder."""
        shutil.rmtree(self._work)

    def _add(
        self,
        name: str,
        origin: str,
        *,
        recipe: Mapping[str, Any] | None = None,
        ignored: tuple[str, ...] = (),
    ) -> None:
        choices = {**self._words, **(recipe or {})}
        self._variants[name] = VariantReceipt(VARIANTS[name], origin, choices, ignored, None)


def _require_nodes(model: ov.Model, exits: Mapping[int, Exit]) -> None:
    names = {node.get_friendly_name() for node in model.get_ops()}
    for layers, exit_ in exits.items():
        for node in exit_.nodes():
            if node not in names:
                raise ModelFormatError(f"quantization lost the exit of {layers} layers ({node})")


def _summary(name: str, xml: Path, fidelity: Fidelity) -> str:
    megabytes = xml.with_suffix(".bin").stat().st_size / 1e6
    return (
        f"  {name}: {megabytes:.1f} MB, cosine mean {fidelity.cosine_mean:.5f}, "
        f"lowest {fidelity.cosine_min:.5f}, Spearman of similarities {fidelity.spearman:.5f}"
    )
