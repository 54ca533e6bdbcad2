"""Distil a small encoder from sentence-embedding models.

There are two ways, here as the modules that take part in each. :func:`distill` trains a new ALBERT
from one teacher: corpus, vocabulary -> batches; teacher -> targets; student, losses, schedule ->
training -> export -> convert. :func:`distill_from` starts from the layers of an existing BERT, with
several teachers: corpus, ensemble -> neighbours (batches) -> encoder_student, pruning -> refinement
(the best step by a suite of development sets) -> convert.
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
