"""An Embedder where a program expects a SentenceTransformer."""

import inspect
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_embed import Embedder, InputError

# What a SentenceTransformer has and an Embedder has not: training, adapters, torch's modules,
# other modalities, and writing models.
NOT_OFFERED = {
    "SUPPORTED_SIMILARITY_FN_NAMES",
    "active_adapter",
    "active_adapters",
    "add_adapter",
    "append",
    "check_peft_compatible_model",
    "clear_placement_cache",
    "default_huggingface_organization",
    "delete_adapter",
    "disable_adapters",
    "dtype",
    "enable_adapters",
    "evaluate",
    "extend",
    "fit",
    "get_adapter_state_dict",
    "get_model_kwargs",
    "get_sentence_features",
    "gradient_checkpointing_enable",
    "has_peft_compatible_model",
    "insert",
    "is_singular_input",
    "load",
    "load_adapter",
    "merge",
    "modalities",
    "model_card_data_class",
    "model_type",
    "old_fit",
    "pop",
    "preprocess",
    "processor",
    "push_to_hub",
    "save",
    "save_pretrained",
    "save_to_hub",
    "set_adapter",
    "set_pooling_include_prompt",
    "smart_batching_collate",
    "supports",
    "transformers_model",
    "truncate_embeddings",
    "truncate_sentence_embeddings",
}


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Embedder:
    return Embedder(tiny_model, cache=False)


@pytest.fixture(scope="module")
def original() -> Any:
    name = "sentence_transformers"
    return pytest.importorskip(name, reason=f"needs {name}").SentenceTransformer


def test_a_new_release_is_noticed(original: Any) -> None:
    torch = pytest.importorskip("torch")
    public = {name for name in dir(original) if not name.startswith("_")}
    public -= set(dir(torch.nn.Module))
    attributes = {"config", "tokenizer"}  # of each Embedder, and of this project's types
    assert public == NOT_OFFERED | (public & set(dir(Embedder))) | attributes


def test_encode_has_its_arguments_in_its_order(original: Any) -> None:
    theirs = [
        parameter.name
        for parameter in inspect.signature(original.encode).parameters.values()
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ]
    ours = inspect.signature(Embedder.encode).parameters
    assert list(ours)[: len(theirs)] == theirs
    assert all(ours[name].kind is inspect.Parameter.POSITIONAL_OR_KEYWORD for name in theirs)


@pytest.mark.parametrize(
    "method",
    [
        "encode_query",
        "encode_document",
        "encode_multi_process",
        "similarity_pairwise",
        "start_multi_process_pool",
        "stop_multi_process_pool",
    ],
)
def test_other_methods_take_the_arguments_of_theirs(original: Any, method: str) -> None:
    theirs = inspect.signature(getattr(original, method))
    arguments = {
        parameter.name: None
        for parameter in theirs.parameters.values()
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    }
    inspect.signature(getattr(Embedder, method)).bind(**arguments)
    own = inspect.signature(Embedder.encode).parameters.keys() | {"pool"}
    assert not method.startswith("encode") or arguments.keys() <= own


def test_every_default_of_theirs_is_accepted(model: Embedder, original: Any) -> None:
    expected = model.encode(["one", "two"])
    for method in ("encode", "encode_query", "encode_document"):
        defaults = {
            parameter.name: parameter.default
            for parameter in inspect.signature(getattr(original, method)).parameters.values()
            if parameter.default is not parameter.empty
        }
        assert np.array_equal(getattr(model, method)(["one", "two"], **defaults), expected)
    assert np.array_equal(model.encode(sentences=["one", "two"], device="cpu"), expected)
    pool = model.start_multi_process_pool(["cpu", "cpu"])
    assert np.array_equal(model.encode(["one", "two"], pool=pool, chunk_size=1), expected)
    assert np.array_equal(model.encode_multi_process(["one", "two"], pool), expected)
    model.stop_multi_process_pool(pool)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "cuda"}, "device='cuda': models run on the CPU"),
        ({"device": ["cpu", "cuda:1"]}, "device='cuda:1'"),
        ({"output_value": "token_embeddings"}, "output_value='token_embeddings' is not offered"),
        ({"output_value": None}, "output_value=None is not offered"),
        ({"inputs": None}, "no texts are given"),
    ],
)
def test_what_it_cannot_give_is_refused_by_name(
    model: Embedder, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        model.encode(**{"inputs": ["one"], **options})


def test_tensors_are_refused_where_the_program_has_no_torch(tiny_model: Path) -> None:
    code = f"""
from edge_embed import Embedder
model = Embedder({str(tiny_model)!r}, cache=False)
for options in ({{"convert_to_tensor": True}}, {{"convert_to_numpy": False}}):
    try:
        model.encode(["one"], **options)
    except ValueError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    first, second = done.stdout.splitlines()
    assert first.startswith("convert_to_tensor=True needs torch, which this program has not")
    assert second.startswith("convert_to_numpy=False needs torch")
    assert "torch.from_numpy(vectors)" in first


def test_tensors_are_given_to_a_program_with_torch(model: Embedder) -> None:
    torch = pytest.importorskip("torch")
    expected = model.encode(["one", "two"])
    tensor = model.encode(["one", "two"], convert_to_tensor=True)
    assert isinstance(tensor, torch.Tensor)
    assert np.array_equal(tensor.numpy(), expected)
    tensors: Any = model.encode(["one", "two"], convert_to_numpy=False)
    assert isinstance(tensors, list)
    assert np.array_equal(torch.stack(tensors).numpy(), expected)


def test_its_own_tools_run(model: Embedder, original: Any, corpus: list[str]) -> None:
    util: Any = pytest.importorskip("sentence_transformers.util")
    texts = [*dict.fromkeys(corpus)][:40]
    vectors = model.encode(texts, normalize=True)
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -1)
    score, first, second = util.paraphrase_mining(model, texts)[0]
    assert score == pytest.approx(cosines.max(), abs=1e-5)
    assert cosines[first, second] == pytest.approx(cosines.max(), abs=1e-5)
    hits = util.semantic_search(model.encode_query(texts[:3]), model.encode_document(texts))
    assert [hit[0]["corpus_id"] for hit in hits] == [0, 1, 2]
    twice = model.encode(texts[:2] * 3)
    communities = util.community_detection(twice, threshold=0.9999, min_community_size=3)
    assert sorted(sorted(community) for community in communities) == [[0, 2, 4], [1, 3, 5]]


def test_attributes(model: Embedder, original: Any) -> None:
    assert model.get_embedding_dimension() == model.get_sentence_embedding_dimension() == 32
    assert model.max_seq_length == model.get_max_seq_length() == 128
    assert (model.device, model.get_backend(), model.similarity_fn_name) == (
        "cpu",
        "openvino",
        "cosine",
    )
    assert model.prompts == {}
    model.max_seq_length = 128
    with pytest.raises(InputError, match="max_seq_length cannot be set to 64"):
        model.max_seq_length = 64


@pytest.mark.parametrize("name", ["cosine", "dot", "euclidean", "manhattan"])
def test_similarity_pairwise_is_theirs(model: Embedder, original: Any, name: Any) -> None:
    from dataclasses import replace

    from sentence_transformers import SimilarityFunction

    first, second = np.random.default_rng(0).normal(size=(2, 5, 8)).astype(np.float32)
    expected = SimilarityFunction.to_similarity_pairwise_fn(name)(first, second).numpy()
    before = model.config
    model.config = replace(before, similarity=name)
    try:
        assert np.allclose(model.similarity_pairwise(first, second), expected, atol=1e-5)
    finally:
        model.config = before
    with pytest.raises(InputError, match="cannot pair vectors of shapes"):
        model.similarity_pairwise(first, second[:2])


def test_a_role_without_a_prompt_has_none_as_with_theirs(
    tiny_model: Path, tmp_path: Path, original: Any
) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    settings = {"prompts": {"sts": "The meaning of: "}, "default_prompt_name": "sts"}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(settings))
    model = Embedder(folder, cache=False, variant="fp32")
    options: dict[str, Any] = {"file_name": "openvino/openvino_model.xml"}
    options["ov_config"] = {"INFERENCE_PRECISION_HINT": "f32"}
    theirs = original(str(folder), backend="openvino", model_kwargs=options)
    for method in ("encode", "encode_query", "encode_document"):
        ours = getattr(model, method)("a small cat")
        assert np.allclose(ours, getattr(theirs, method)("a small cat"), atol=1e-5), method
    assert not np.allclose(model.encode("a small cat"), model.encode_query("a small cat"))
