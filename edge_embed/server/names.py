"""The names of models in requests: their own names, aliases, and suffixes after a colon.

Neither OpenAI's nor Ollama's protocol tells whether a text is a query or a document, so a model
with prompts is also available as ``NAME:query`` and ``NAME:document``. Ollama's clients append
``:latest``.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from edge_embed.errors import InputError
from edge_embed.server.errors import StatusError

__all__ = ["ROLE_PROMPTS", "ModelNames", "Named"]

ROLE_PROMPTS: Mapping[str, tuple[str, ...]] = {
    "query": ("query",),
    "document": ("document", "passage", "corpus"),
}
"""Suffix after the colon to names of prompts; the first that the model has is used."""

_LATEST = "latest"


class Named(NamedTuple):
    """The meaning of a name."""

    model: str
    role: str | None = None
    """``query`` or ``document``, if the name has that suffix."""


class ModelNames:
    """Names of models, and aliases of them."""

    def __init__(self, names: Sequence[str], aliases: Mapping[str, str]) -> None:
        """Store names and aliases; the first name is the default model.

        Raises:
            InputError: an alias is a model's name, or names no model.
        """
        self._known = {name: Named(name) for name in names}
        self._default = next(iter(names), "")
        own = set(names)
        for alias, target in aliases.items():
            if alias in own:
                raise InputError(f"the alias {alias!r} is the name of a model: choose another")
            found = self._find(target)
            if found is None:
                raise InputError(
                    f"the alias {alias!r} stands for {target!r}, which is no model; the models "
                    f"are: {', '.join(names)}"
                )
            self._known[alias] = found

    @property
    def all(self) -> Mapping[str, Named]:
        """Every name and alias, the default first."""
        return self._known

    def find(self, name: str | None) -> Named:
        """Return the meaning of a name; None is the default model.

        Raises:
            StatusError: no model has this name (404).
        """
        found = self._find(self._default if name is None else name)
        if found is None:
            known = ", ".join(self._known)
            raise StatusError(404, f"there is no such model; the models are: {known}")
        return found

    def _find(self, name: str) -> Named | None:
        if name in self._known:
            return self._known[name]
        base, _, tag = name.rpartition(":")
        if base not in self._known or tag not in (*ROLE_PROMPTS, _LATEST):
            return None
        found = self._known[base]
        return found if tag == _LATEST else Named(found.model, tag)
