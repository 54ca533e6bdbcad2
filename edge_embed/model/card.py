"""What a model says of itself for people: licence, languages, what it was trained for.

From the receipt of a conversion, else from the front matter of its README.md (the model card).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edge_embed.model.receipt import read_receipt

__all__ = ["ModelCard", "Training"]

Training = Literal["paraphrase", "search", "general"]
"""``paraphrase``: texts that say the same; ``search``: a short query and what answers it;
``general``: both."""

# How sentence-transformers' and other well-known models are named by what they were trained for
# (https://www.sbert.net/docs/sentence_transformer/pretrained_models.html).
_NAMES: Mapping[Training, re.Pattern[str]] = {
    "paraphrase": re.compile(r"\b(paraphrase|stsb|nli|quora|simcse)\b"),
    "search": re.compile(r"\b(msmarco|multi-qa|gtr|e5|bge|gte|arctic-embed|contriever)\b"),
    "general": re.compile(r"\ball-(minilm|mpnet|distilroberta|roberta)"),
}


@dataclass(frozen=True)
class ModelCard:
    """Facts for people; nothing here changes how a model is run."""

    licence: str | None
    languages: tuple[str, ...]
    """ISO 639 codes, such as ``en``."""
    training: Training | None
    """What the model was trained for, told by its name; None where the name does not tell."""

    @classmethod
    def from_folder(cls, folder: Path) -> "ModelCard":
        """Read what is known of the model in ``folder``.

        Raises:
            ModelFormatError: the receipt is damaged.
        """
        front = _front_matter(folder / "README.md")
        licence = next(iter(front.get("license", ())), None)
        languages = tuple(front.get("language", ()))
        names = [folder.resolve().name, *front.get("base_model", ())]
        receipt = read_receipt(folder)
        if receipt is not None:
            licence = receipt.licence or licence
            languages = receipt.languages or languages
            names.insert(0, receipt.source.name)
        found = (_training(name) for name in names)
        languages = tuple(str(language) for language in languages)
        return cls(licence, languages, next((kind for kind in found if kind), None))


def _training(name: str) -> Training | None:
    name = name.lower().replace("_", "-")
    return next((kind for kind, pattern in _NAMES.items() if pattern.search(name)), None)


def _front_matter(readme: Path) -> dict[str, list[str]]:
    """Read the flat part of a card's YAML: scalars and lists of scalars, each as a list."""
    try:
        lines = readme.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    if not lines or lines[0].strip() != "---":
        return {}
    found: dict[str, list[str]] = {}
    key = ""
    for line in lines[1:]:
        if line.strip() == "---":
            return found
        item = re.match(r"\s*-\s+(.+)", line)
        entry = re.match(r"(\w+):\s*(.*)", line)
        if entry:
            key, value = entry[1], entry[2].strip()
            values = value[1:-1].split(",") if value.startswith("[") else [value]
            found[key] = [text for text in map(_scalar, values) if text]
        elif item and key:
            found[key].append(_scalar(item[1]))
    return {}  # the front matter has no end


def _scalar(text: str) -> str:
    return text.strip().strip("\"'")
