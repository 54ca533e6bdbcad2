"""Distil a small ALBERT encoder from a sentence-embedding model.

corpus and vocabulary -> batches; teacher -> targets; student, losses, schedule -> training ->
export -> the converter. :func:`distill` does all of it.
"""

from edge_embed_conversion.distillation.distill import distill, work_folder
from edge_embed_conversion.distillation.schedule import Recipe
from edge_embed_conversion.distillation.student import StudentShape

__all__ = ["Recipe", "StudentShape", "distill", "work_folder"]
