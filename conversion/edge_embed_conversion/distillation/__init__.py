"""Distil a small encoder from sentence-embedding models.

Two ways. :func:`distill` trains an ALBERT from nothing: corpus and vocabulary -> batches; teacher
-> targets; student, losses, schedule -> training -> export -> the converter. :func:`distill_from`
starts from a model's own layers: corpus -> ensemble (of teachers) -> neighbours (batches) ->
refinement of an encoder_student, chosen by a suite -> the converter.
"""

from edge_embed_conversion.distillation.distill import distill, work_folder
from edge_embed_conversion.distillation.ensemble import WeightedTeacher
from edge_embed_conversion.distillation.from_model import InitialModel, distill_from
from edge_embed_conversion.distillation.refinement import RefinementRecipe
from edge_embed_conversion.distillation.schedule import Recipe
from edge_embed_conversion.distillation.student import StudentShape

__all__ = [
    "InitialModel",
    "Recipe",
    "RefinementRecipe",
    "StudentShape",
    "WeightedTeacher",
    "distill",
    "distill_from",
    "work_folder",
]
