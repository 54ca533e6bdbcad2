"""``edge-embed info``: what a model is, and how this machine runs it."""

from collections.abc import Mapping
from typing import Any

import click

from edge_embed.cli.options import ModelOptions, model_options
from edge_embed.cli.terminal import echo, echo_json, printable
from edge_embed.embedder import Embedder
from edge_embed.hardware.processors import usable_processors
from edge_embed.model.card import Training
from edge_embed.model.locate import shipped_models
from edge_embed.model.receipt import Fidelity, read_receipt
from edge_embed.model.variants import weights_of
from edge_embed.runtime.static_engine import StaticEngine
from edge_embed.runtime.streams import choose_streams


@click.command("info")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@model_options
def info_command(options: ModelOptions, *, as_json: bool) -> None:
    """Show a model: dimensions, limit, pooling, precision, origin, and what runs it."""
    facts = describe(options.load())
    if as_json:
        echo_json(facts, indent=2)
        return
    for section, values in facts.items():
        echo(f"{section}:")
        for name, value in values.items():
            echo(f"  {printable(name):<22} {printable(_shown(value))}")


_TRAINING: Mapping[Training | None, str | None] = {
    "paraphrase": "paraphrases, by its name: texts that say the same, not questions and answers",
    "search": "search, by its name: short queries and what answers them",
    "general": "similarity and search, by its name",
    None: None,
}


_OTHER_MODELS = (
    "ships with edge-embed; to get paraphrase-albert-small-v2 instead: edge-embed convert "
    "sentence-transformers/paraphrase-albert-small-v2 -o DIR"
)


def describe(model: Embedder) -> dict[str, dict[str, Any]]:
    """Return everything that ``info`` shows, by section."""
    config = model.config
    facts: dict[str, dict[str, Any]] = {
        "model": {
            "folder": str(config.folder),
            "licence": model.card.licence,
            "languages": list(model.card.languages),
            "trained for": _TRAINING[model.card.training],
            "architecture": config.model_type,
            "dimensions": config.dim,
            "max tokens": config.max_seq_length,
            "pooling": ", ".join(config.pooling),
            "normalize": config.normalize,
            "similarity": config.similarity,
            "prompts": list(config.prompts),
            "variant": model.variant,
            "variants": {
                name: f"{weights_of(file).stat().st_size / 1e6:.1f} MB"
                for name, file in config.variants.items()
            },
            "int8 vector ranges": model.ranges is not None,
            **_static(model),
        },
        "runtime": {
            "inference precision": model.runtime.inference_precision,
            "model cache": str(model.runtime.cache_dir) if model.runtime.cache_dir else "off",
            "processors": _processors(model),
            "streams": choose_streams(model.runtime).why,
            "rows": _rows(model),
            **model.engine.properties,
        },
    }
    if config.exits:
        facts["model"]["layers"] = model.layers or "all"
        facts["model"]["fewer layers"] = {
            f"--layers {layers}": "similarities as of the whole model"
            + ("" if exit_.agreement is None else f", correlation {exit_.agreement:.3f}")
            for layers, exit_ in config.exits.items()
        }
    if config.folder in shipped_models().values():
        facts["model"]["origin"] = _OTHER_MODELS
    receipt = read_receipt(config.folder)
    if receipt is None:
        facts["receipt"] = {"receipt": "none: this folder was not made by edge-embed convert"}
        return facts
    facts["receipt"] = {
        "source": receipt.source.name,
        "revision": receipt.source.revision,
        "created": receipt.created,
        "calibration": receipt.calibration.name if receipt.calibration else None,
        "tools": dict(receipt.tools),
    }
    if receipt.projection is not None:
        facts["receipt"]["projection"] = (
            f"from {receipt.projection.from_dim} to {receipt.projection.dim} dimensions, fitted on "
            f"{receipt.projection.texts.size} texts ({receipt.projection.texts.name})"
        )
    for name, variant in receipt.variants.items():
        if variant.fidelity is not None:
            facts["receipt"][f"{name} against source"] = _fidelity(variant.fidelity)
    return facts


def _static(model: Embedder) -> dict[str, str]:
    """Return a description of the variant ``static``; {} for others."""
    if model.derived is None:
        return {}
    origin, _ = model.config.variant_file()
    return {
        "static": f"each text the mean of its pieces' vectors, which {origin} gave for each piece "
        "alone: tens of thousands of texts a second, and far less exact (compare with 'edge-embed "
        "eval'); not comparable with vectors of the other variants"
    }


def _rows(model: Embedder) -> str:
    if isinstance(model.engine, StaticEngine):
        return "tokens end to end"
    return "packed" if model.engine.packed else f"padded: {model.engine.why_not_packed}"


def _fidelity(fidelity: Fidelity) -> str:
    parts = [
        f"cosine mean {fidelity.cosine_mean:.5f}, 1st percentile {fidelity.cosine_p1:.5f}, "
        f"least {fidelity.cosine_min:.5f}",
        f"Spearman {fidelity.spearman:.5f}",
    ]
    if fidelity.neighbour_overlap is not None:
        parts.append(f"same nearest texts {100 * fidelity.neighbour_overlap:.1f} %")
    if fidelity.threshold_drift is not None:
        parts.append(f"paraphrase threshold {fidelity.threshold_drift:+.4f}")
    return "; ".join(parts)


def _processors(model: Embedder) -> str:
    processors = usable_processors()
    if model.runtime.threads is not None:
        return f"{model.runtime.threads} threads, as asked for"
    return f"{processors.count}: {processors.why}"


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(str(item) for item in value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "unknown" if value is None else str(value)
