"""An index as tools of the Model Context Protocol, with the official client over stdio."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from edge_embed import Embedder
from edge_embed.model.fingerprint import model_fingerprint
from edge_embed.tasks import Index

pytestmark = [pytest.mark.clients, pytest.mark.filterwarnings("ignore")]


def test_every_tool(
    shipped: Embedder, texts: list[str], queries: list[str], tmp_path: Path
) -> None:
    mcp = pytest.importorskip("mcp", reason="needs mcp (the group 'clients')")
    path = tmp_path / "notes.index"
    Index.create(path, dim=shipped.dim, model=model_fingerprint(shipped)).close()
    arguments = ["-m", "edge_embed", "mcp", str(path)]
    server = mcp.StdioServerParameters(command=sys.executable, args=arguments)

    async def ask() -> None:
        async with mcp.Client(server) as client:

            async def call(tool: str, **given: Any) -> Any:
                result = await client.call_tool(tool, given)
                assert not result.is_error, result
                content = result.structured_content
                return content["result"] if set(content) == {"result"} else content

            tools = (await client.list_tools()).tools
            names = {"search", "add", "delete", "deduplicate", "similarity"}
            assert {tool.name for tool in tools} == names
            ids = [str(number) for number in range(4)]
            metadata = [{"even": number % 2 == 0} for number in range(4)]
            assert await call("add", texts=texts, ids=ids, metadata=metadata) == ids
            for number, query in enumerate(queries):
                # Among four texts the word "my" decides the order by meaning and words together.
                hit = max(await call("search", query=query, k=4), key=lambda hit: hit["score"])
                assert (hit["id"], hit["text"]) == (str(number), texts[number])
            (hit,) = await call("search", query=queries[0], k=1, where={"even": False})
            assert hit["metadata"] == {"even": False}
            matrix = await call("similarity", texts=queries, others=texts)
            assert [row.index(max(row)) for row in matrix] == [0, 1, 2, 3]
            found = await call("deduplicate", texts=[texts[0], texts[1], texts[0].upper()])
            assert found["kept"] == [0, 1]
            assert await call("delete", ids=["0", "unknown"]) == 1
            wrong = await client.call_tool("search", {"query": "a", "k": 0})
            assert wrong.is_error

    asyncio.run(ask())
    with Index(path) as index:
        assert len(index) == 3  # on the disk, for others
