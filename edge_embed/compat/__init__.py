"""Replacements under other packages' names, for programs that cannot be changed; used on demand."""
