"""Is this box, this install, this model as it should be? Checks, each with its remedy.

:func:`examine` runs them all; ``edge-embed doctor`` prints what it returns.
"""

from edge_embed.doctor.checks import Finding, examine

__all__ = ["Finding", "examine"]
