"""Models with a path for queries and another for documents: each path is a model of its own."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from edge_embed.embedder import Embedder
from edge_embed.errors import InputError, ModelFormatError
from edge_embed_conversion.convert import convert
from edge_embed_conversion.routes import lay_out_route, route_names
from edge_embed_conversion.verify import verify
from tests.support.routed_source import MODULES, make_routed_source

TEXTS = ["A small cat.", "The train to Leeds was cancelled because of snow.", ""]


@pytest.fixture(scope="module")
def routed(tmp_path_factory: pytest.TempPathFactory, tiny_bert_source: Path) -> Path:
    """A Router whose paths share a transformer and have a Dense each, then Normalize."""
    return make_routed_source(tmp_path_factory.mktemp("routed") / "asymmetric", tiny_bert_source)


def test_a_path_is_what_sentence_transformers_takes_for_it(routed: Path, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    assert route_names(routed) == ["query", "document"]
    whole = SentenceTransformer(str(routed), device="cpu")
    for route, encode in (("query", whole.encode_query), ("document", whole.encode_document)):
        lay_out_route(routed, route, tmp_path / route)
        alone = SentenceTransformer(str(tmp_path / route), device="cpu")
        np.testing.assert_allclose(alone.encode(TEXTS), encode(TEXTS), atol=1e-6)


def test_a_path_converts_and_is_verified(routed: Path, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    receipt = convert(routed, tmp_path / "documents", precision="fp32", route="document")
    assert (receipt.source.name, receipt.source.route) == ("asymmetric", "document")
    ours = Embedder(tmp_path / "documents", cache=False).encode_document(TEXTS)
    theirs = SentenceTransformer(str(routed), device="cpu").encode_document(TEXTS)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    result = verify(tmp_path / "documents", against=str(routed))
    assert result.passed, result


def test_a_router_needs_a_route(routed: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelFormatError, match=r"a path for each of query, document .*--route q"):
        convert(routed, tmp_path / "out", precision="fp32")
    with pytest.raises(InputError, match="has the routes query, document, not 'passage'"):
        convert(routed, tmp_path / "out", precision="fp32", route="passage")
    with pytest.raises(InputError, match="holds the source itself"):
        convert(routed, routed, precision="fp32", route="query", force=True)
    with pytest.raises(ModelFormatError, match="names the module 'Router': it is a model with a p"):
        Embedder(routed)
    assert not (tmp_path / "out").exists()


def test_a_model_without_a_router_has_no_routes(tiny_bert_source: Path, tmp_path: Path) -> None:
    assert route_names(tiny_bert_source) == []
    with pytest.raises(InputError, match="has no Router, not 'query'"):
        convert(tiny_bert_source, tmp_path / "out", precision="fp32", route="query")


def test_the_older_asym_after_pooling(tiny_bert_source: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_bert_source, tmp_path / "source")
    modules = json.loads((folder / "modules.json").read_text())[:2]
    modules.append({"idx": 2, "name": "2", "path": "2_Asym", "type": MODULES + "Asym"})
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "2_Asym" / "q_0").mkdir(parents=True)
    asym = {"types": {"q_0": MODULES + "Dense"}, "structure": {"q": ["q_0"], "d": []}}
    (folder / "2_Asym" / "config.json").write_text(json.dumps(asym))
    assert route_names(folder) == ["q", "d"]
    paths = {}
    for route in ("q", "d"):
        lay_out_route(folder, route, tmp_path / route)
        listed = json.loads((tmp_path / route / "modules.json").read_text())
        paths[route] = [module["path"] for module in listed]
    assert paths == {"q": ["", "1_Pooling", "2_Asym/q_0"], "d": ["", "1_Pooling"]}


@pytest.mark.parametrize(
    ("router", "message"),
    [
        ({}, "does not say the structure and types of a Router"),
        ({"types": {}, "structure": {"query": "x"}}, "does not say the structure"),
        ({"types": {}, "structure": {"query": ["x"]}}, "names no type of the module 'x'"),
        ({"types": {"../x": "y"}, "structure": {"query": ["../x"]}}, "no path inside"),
    ],
)
def test_a_damaged_router_is_named(tmp_path: Path, router: object, message: str) -> None:
    modules = [{"type": MODULES + "Router", "path": ""}]
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    (tmp_path / "router_config.json").write_text(json.dumps(router))
    with pytest.raises(ModelFormatError, match=message):
        lay_out_route(tmp_path, "query", tmp_path / "out")
