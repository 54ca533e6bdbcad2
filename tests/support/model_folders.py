"""Model folders whose files do not belong together."""

import json
from pathlib import Path


def add_word_without_row(folder: Path) -> int:
    """Add a word to the tokenizer whose id is the first beyond the word table; return the id."""
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    rows = json.loads((folder / "config.json").read_text())["vocab_size"]
    word = {"id": rows, "content": "<sofa>", "single_word": False, "lstrip": False}
    word |= {"rstrip": False, "normalized": False, "special": False}
    tokenizer["added_tokens"].append(word)
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    return int(rows)
