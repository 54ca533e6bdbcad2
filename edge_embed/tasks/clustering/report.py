"""Clusters as a file: a table to read (.csv), or with the centres, to assign new texts (.json)."""

import csv
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_embed.errors import InputError
from edge_embed.files.atomic import atomic_file
from edge_embed.files.json_text import parse_json

__all__ = ["ClusterEntry", "ClusterReport"]

SCHEMA = 1
_FORMAT = "edge-embed clusters"


@dataclass(frozen=True)
class ClusterEntry:
    """One cluster."""

    number: int
    size: int
    cohesion: float
    """Mean cosine of its texts with its centre."""
    name: str
    """Its most central text."""
    words: list[str]
    """Its most distinctive words."""


@dataclass(frozen=True, eq=False)
class ClusterReport:
    """The clusters of a run."""

    model: str
    """The fingerprint of the model that made the vectors."""
    threshold: float
    texts: int
    outliers: int
    clusters: tuple[ClusterEntry, ...]
    centres: npt.NDArray[np.float32]
    """Float32 (clusters, dim), of unit length."""
    recall: float = 1.0
    """The share of a sample's true neighbours that was found; 1 for an exact search."""

    def write(self, path: Path) -> None:
        """Write the report: .csv without the centres, any other ending as JSON.

        Raises:
            OutputError: it cannot be written.
        """
        with atomic_file(path) as temporary:
            if path.suffix == ".csv":
                with temporary.open("w", encoding="utf-8", newline="") as file:
                    writer = csv.writer(file)
                    writer.writerow(["cluster", "size", "cohesion", "name", "words"])
                    writer.writerows(
                        [c.number, c.size, f"{c.cohesion:.4f}", c.name, " ".join(c.words)]
                        for c in self.clusters
                    )
                return
            content = {
                "format": _FORMAT,
                "schema": SCHEMA,
                "model": self.model,
                "threshold": self.threshold,
                "texts": self.texts,
                "outliers": self.outliers,
                "recall": self.recall,
                "clusters": [
                    asdict(entry) | {"centre": [float(f"{value:.9g}") for value in centre.tolist()]}
                    for entry, centre in zip(self.clusters, self.centres, strict=True)
                ],
            }
            temporary.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "ClusterReport":
        """Read a .json report.

        Raises:
            InputError: the file is missing, no such report, damaged, or newer than this version.
        """
        try:
            content: Any = parse_json(path.read_bytes())
            if content["format"] != _FORMAT:
                raise ValueError
            if content["schema"] > SCHEMA:
                raise InputError(
                    f"{path} has schema {content['schema']}, newer than this version reads "
                    f"({SCHEMA}); upgrade edge-embed"
                )
            centres = np.array([entry.pop("centre") for entry in content["clusters"]], np.float32)
            if len(centres) and (centres.ndim != 2 or not np.isfinite(centres).all()):
                raise ValueError
            return cls(
                content["model"],
                float(content["threshold"]),
                int(content["texts"]),
                int(content["outliers"]),
                tuple(ClusterEntry(**entry) for entry in content["clusters"]),
                centres,
                float(content.get("recall", 1.0)),
            )
        except InputError:
            raise
        except FileNotFoundError:
            raise InputError(f"no such file: {path}") from None
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror}") from error
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
            raise InputError(
                f"{path} is not a whole .json report of 'edge-embed cluster': make it again"
            ) from None
