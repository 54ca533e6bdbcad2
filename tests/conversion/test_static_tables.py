"""Models without a transformer, converted: equal to what sentence-transformers makes of them."""

import json
from pathlib import Path

import numpy as np
import pytest

from edge_embed import EdgeEmbedError, Embedder, InputError, ModelFormatError
from edge_embed.model.fingerprint import model_fingerprint
from edge_embed.model.receipt import read_receipt, verify_folder
from edge_embed_conversion.convert import convert
from tests.support.tiny_sources import wordpiece_tokenizer

TEXTS = ["", "Reset my password", "café  [SEP] naïve 東京", "a", "word " * 700, "!?", "\u200b"]


def source(folder: Path, corpus: list[str], kind: str) -> Path:
    """Write a table as sentence-transformers or as model2vec does."""
    from safetensors.numpy import save_file

    tokenizer = wordpiece_tokenizer(corpus)
    rows = tokenizer.get_vocab_size()
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(rows, 24)).astype(np.float32)
    place = folder / "0_StaticEmbedding" if kind == "apart" else folder
    place.mkdir(parents=True)
    tokenizer.save(str(place / "tokenizer.json"))
    table = {"embedding.weight": vectors} if kind == "apart" else {"embeddings": vectors}
    if kind == "mapped":
        table = {"embeddings": vectors[: rows // 2], "mapping": np.arange(rows) // 2 % (rows // 2)}
        table["weights"] = generator.uniform(0.1, 2, rows)
    save_file(table, place / "model.safetensors")
    if kind == "model2vec":  # without modules.json
        document = {"model_type": "model2vec", "normalize": True, "hidden_dim": 24}
        (folder / "config.json").write_text(json.dumps(document))
        return folder
    library = "sentence_transformers.models"
    modules = [("StaticEmbedding", place.name if kind == "apart" else "."), ("Normalize", "1_Norm")]
    listed = [
        {"idx": number, "name": str(number), "path": path, "type": f"{library}.{name}"}
        for number, (name, path) in enumerate(modules[: 1 if kind == "mapped" else 2])
    ]
    (folder / "modules.json").write_text(json.dumps(listed))
    (folder / "README.md").write_text("---\nlicense: mit\nlanguage: en\n---\n")
    return folder


@pytest.mark.parametrize("kind", ["apart", "mapped", "model2vec"])
def test_a_table_is_what_sentence_transformers_makes_of_it(
    tmp_path: Path, corpus: list[str], kind: str
) -> None:
    from sentence_transformers import SentenceTransformer

    folder, output = source(tmp_path / "source", corpus, kind), tmp_path / "out"
    receipt = convert(folder, output)
    texts = [*TEXTS, *corpus[:40]]
    exact = Embedder(output, variant="fp32", cache=False)
    vectors = exact.encode(texts)
    theirs = SentenceTransformer(str(output), device="cpu").encode(texts)
    np.testing.assert_allclose(vectors, theirs, rtol=1e-5, atol=1e-5)
    if kind != "model2vec":
        original = SentenceTransformer(str(folder), device="cpu").encode(texts)
        np.testing.assert_allclose(vectors, original, rtol=1e-5, atol=1e-5)
        assert receipt.licence == "mit"
    assert exact.config.normalize == (kind != "mapped")
    small = Embedder(output, cache=False)
    assert (small.variant, small.dim) == ("int8", 24)
    found = small.encode(texts)
    lengths = np.linalg.norm(vectors, axis=1)
    assert (np.linalg.norm(found - vectors, axis=1) <= 0.02 * lengths).all()
    assert model_fingerprint(small) != model_fingerprint(exact)
    assert Embedder(output, variant="static", cache=False).variant == "int8"
    stored = read_receipt(output)
    assert stored is not None
    fidelity = stored.variants["int8"].fidelity
    assert fidelity is not None
    assert fidelity.cosine_min > 0.999
    verify_folder(output)


def test_what_a_table_is_not(tmp_path: Path, corpus: list[str]) -> None:
    folder = source(tmp_path / "source", corpus, "apart")
    with pytest.raises(ModelFormatError, match="run 'edge-embed convert"):
        Embedder(folder)
    with pytest.raises(InputError, match="to int8 or fp32, not w8"):
        convert(folder, tmp_path / "out", precision="w8")
    with pytest.raises(InputError, match="are for transformers"):
        convert(folder, tmp_path / "out", pooling="mean")
    output = tmp_path / "out"
    convert(folder, output, precision="fp32")
    with pytest.raises(InputError, match="no layers to end at"):
        Embedder(output, layers=3, cache=False)
    whole = (output / "model.safetensors").read_bytes()
    for damaged in (whole[:100], whole[:4], b""):
        (output / "model.safetensors").write_bytes(damaged)
        with pytest.raises(EdgeEmbedError, match=r"model\.safetensors"):
            Embedder(output, cache=False)
    (output / "model.safetensors").unlink()
    with pytest.raises(ModelFormatError, match="is missing"):
        Embedder(output, cache=False)
