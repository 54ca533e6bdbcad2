"""Facts about a model for its users: licence, languages, what it was trained for.

They come from the receipt of its conversion, else from the front matter of its model card
(README.md).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edge_embed.model.receipt import read_receipt

__all__ = ["ModelCard", "Training"]

Training = Literal["paraphrase", "search", "general"]
"""``paraphrase``: texts with the same meaning; ``search``: a query and documents that answer it;
``general``: both."""

# Parts of the names of well-known models that tell what a model was trained for
# (https://www.sbert.net/docs/sentence_transformer/pretrained_models.html).
_NAMES: Mapping[Training, re.Pattern[str]] = {
    "paraphrase": re.compile(r"\b(paraphrase|stsb|nli|quora|simcse)\b"),
    "search": re.compile(r"\b(msmarco|multi-qa|gtr|e5|bge|gte|arctic-embed|contriever)\b"),
    "general": re.compile(r"\ball-(minilm|mpnet|distilroberta|roberta)"),
}


@dataclass(frozen=True)
class ModelCard:
    """Facts about a model; none of them changes how it is run."""

    licence: str | None
    languages: tuple[str, ...]
    """ISO 639 codes, such as ``en``."""
    training: Training | None
    """What the model was trained for, guessed from its name; None if the name does not tell."""

    @classmethod
    def from_folder(cls, folder: Path) -> "ModelCard":
        """Read the facts about the model in ``folder``.

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
    """Read the top-level scalars and lists of scalars of a card's YAML, each as a list."""
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
