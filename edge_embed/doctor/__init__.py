"""Checks of the machine, the installation and a model, each with a remedy.

:func:`examine` runs all of them; ``edge-embed doctor`` prints the results.
"""

from edge_embed.doctor.checks import Finding, examine

__all__ = ["Finding", "examine"]
