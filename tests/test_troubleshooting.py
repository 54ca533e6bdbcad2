"""docs/troubleshooting.md holds every message of the product, and each can be read."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("messages", ROOT / "tools" / "messages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)

    sys.modules["messages"] = module
    spec.loader.exec_module(module)
    return module


def test_the_table_is_made_from_the_source(tool: ModuleType) -> None:
    written = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    assert written == tool.document(), "run: python tools/messages.py --write"


def test_messages_are_many_and_plain(tool: ModuleType) -> None:
    every = tool.messages()
    assert len(every) > 250
    for message in every:
        assert "\n" not in message.text
        assert message.text.strip("… "), message
