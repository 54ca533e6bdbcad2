"""Tiny encoders of every family that people use, laid out as the public models of the family are.

Random weights of fixed seed and tokenizers trained on this project's texts: each converts in a
second or two. Used by the tests and by the command that makes the table of docs/models.md.
"""

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

__all__ = ["FAMILIES", "Family", "build"]

LIMIT = 128
BERT_SPECIALS = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}
ROBERTA_SPECIALS = {
    "bos_token": "<s>",
    "cls_token": "<s>",
    "pad_token": "<pad>",
    "eos_token": "</s>",
    "sep_token": "</s>",
    "unk_token": "<unk>",
    "mask_token": "<mask>",
}
T5_SPECIALS = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
GEMMA_SPECIALS = T5_SPECIALS | {"bos_token": "<bos>"}
QWEN_SPECIALS = {"pad_token": "<|endoftext|>", "eos_token": "<|endoftext|>"}

# The sizes of a BERT; other families name some of them otherwise.
BERT: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 160,
    "initializer_range": 0.2,
}
DECODER = BERT | {"num_key_value_heads": 1, "head_dim": 16, "max_position_embeddings": 2048}
WINDOWS = {"sliding_window": 8, "layer_types": ["full_attention", "sliding_attention"] * 2}


@dataclass(frozen=True)
class Family:
    """A family of encoders and how a tiny one of it is built."""

    example: str
    """A public model of this kind."""
    model_type: str
    sizes: Mapping[str, Any]
    tokens: str = "wordpiece"
    """Which of this module's tokenizers: wordpiece, roberta, unigram, t5, qwen or gemma."""
    model_class: str = "AutoModel"
    pooling: str | Sequence[str] = "mean"
    normalize: bool = False
    dense: Sequence[Mapping[str, Any]] = ()
    """Configurations of Dense modules after pooling."""
    layer_norm: bool = False
    """Whether a LayerNorm follows them."""
    prompts: Mapping[str, str] = field(default_factory=dict)
    limit: int | None = LIMIT
    padding_side: str = "right"
    notes: str = ""


def _sizes(base: Mapping[str, Any], **other: Any) -> dict[str, Any]:
    return {**base, **other}


QUERY = {"query": "Represent this sentence for searching relevant passages: "}
INSTRUCT = {"query": "Instruct: Given a question, find the answer\nQuery:", "document": ""}
IDENTITY = "torch.nn.modules.linear.Identity"
TANH = "torch.nn.modules.activation.Tanh"
GELU = "torch.nn.modules.activation.GELU"

FAMILIES: Mapping[str, Family] = {
    "bert": Family("all-MiniLM-L6-v2", "bert", BERT, normalize=True),
    "bert-cls": Family("bge-base-en-v1.5", "bert", BERT, pooling="cls", normalize=True),
    "arctic": Family("snowflake-arctic-embed-m", "bert", BERT, pooling="cls", prompts=QUERY),
    "albert": Family(
        "paraphrase-albert-small-v2",
        "albert",
        _sizes(BERT, embedding_size=16, hidden_act="gelu_new", pad_token_id=1),
        tokens="roberta",
    ),
    "distilbert": Family(
        "msmarco-distilbert-base-v4",
        "distilbert",
        {"dim": 32, "n_layers": 3, "n_heads": 2, "hidden_dim": 64}
        | {"max_position_embeddings": 160, "initializer_range": 0.2},
    ),
    "distiluse": Family(
        "distiluse-base-multilingual-cased-v2",
        "distilbert",
        {"dim": 32, "n_layers": 3, "n_heads": 2, "hidden_dim": 64}
        | {"max_position_embeddings": 160, "initializer_range": 0.2},
        dense=({"in_features": 32, "out_features": 24, "activation_function": TANH},),
    ),
    "dense-gelu": Family(
        "a Dense with GELU and a residual, then LayerNorm",
        "bert",
        BERT,
        dense=(
            {"in_features": 32, "out_features": 32, "activation_function": GELU}
            | {"use_residual": True},
        ),
        layer_norm=True,
        normalize=True,
    ),
    "mpnet": Family("all-mpnet-base-v2", "mpnet", BERT, tokens="roberta", normalize=True),
    "roberta": Family("all-distilroberta-v1", "roberta", BERT, tokens="roberta"),
    "xlm-roberta": Family("multilingual-e5-base", "xlm-roberta", BERT, tokens="roberta"),
    "camembert": Family("sentence-camembert-base", "camembert", BERT, tokens="roberta"),
    "electra": Family("electra-base", "electra", _sizes(BERT, embedding_size=16)),
    "mobilebert": Family(
        "mobilebert-uncased",
        "mobilebert",
        _sizes(
            BERT,
            embedding_size=16,
            intra_bottleneck_size=16,
            true_hidden_size=16,
            num_feedforward_networks=2,
        ),
    ),
    "convbert": Family(
        "YituTech/conv-bert-base",
        "convbert",
        _sizes(BERT, embedding_size=32, conv_kernel_size=5, head_ratio=1),
    ),
    "roformer": Family("roformer_chinese_base", "roformer", _sizes(BERT, embedding_size=32)),
    "deberta-v2": Family(
        "mdeberta-v3-base",
        "deberta-v2",
        _sizes(BERT, relative_attention=True, pos_att_type=["p2c", "c2p"], position_buckets=16),
    ),
    "deberta": Family(
        "deberta-base",
        "deberta",
        _sizes(BERT, relative_attention=True, pos_att_type=["p2c", "c2p"]),
    ),
    "t5": Family(
        "sentence-t5-base",
        "t5",
        {"d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 3, "num_heads": 2},
        tokens="t5",
        model_class="T5EncoderModel",
        dense=(
            {"in_features": 32, "out_features": 24, "bias": False, "activation_function": IDENTITY},
        ),
        normalize=True,
    ),
    "mt5": Family(
        "mt5-base encoder",
        "mt5",
        {"d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 3, "num_heads": 2},
        tokens="t5",
        model_class="MT5EncoderModel",
    ),
    "modernbert": Family(
        "gte-modernbert-base",
        "modernbert",
        _sizes(
            BERT,
            max_position_embeddings=2048,
            local_attention=8,
            global_attn_every_n_layers=3,
            num_hidden_layers=6,
        ),
        pooling="cls",
        limit=1024,
    ),
    "nomic-bert": Family(
        "nomic-embed-text-v1.5",
        "nomic_bert",
        _sizes(BERT, max_position_embeddings=2048),
        limit=1024,
        prompts={"query": "search_query: ", "document": "search_document: "},
    ),
    "jina-v3": Family("jina-embeddings-v3", "jina_embeddings_v3", BERT, tokens="roberta"),
    "eurobert": Family("EuroBERT-210m", "eurobert", DECODER, tokens="qwen"),
    "embeddinggemma": Family(
        "embeddinggemma-300m",
        "gemma3_text",
        _sizes(DECODER, num_hidden_layers=4, use_bidirectional_attention=True, sliding_window=8)
        | {"layer_types": ["sliding_attention", "full_attention"] * 2, "query_pre_attn_scalar": 16},
        tokens="gemma",
        dense=(
            {"in_features": 32, "out_features": 64, "bias": False, "activation_function": IDENTITY},
            {"in_features": 64, "out_features": 32, "bias": False, "activation_function": IDENTITY},
        ),
        normalize=True,
        prompts={"query": "task: search result | query: ", "document": "title: none | text: "},
        limit=1024,
    ),
    "qwen3": Family(
        "Qwen3-Embedding-0.6B",
        "qwen3",
        DECODER,
        tokens="qwen",
        pooling="lasttoken",
        normalize=True,
        prompts=INSTRUCT,
        limit=None,
        padding_side="left",
    ),
    "qwen2": Family(
        "gte-Qwen2-1.5B-instruct",
        "qwen2",
        DECODER,
        tokens="qwen",
        pooling="lasttoken",
        normalize=True,
    ),
    "llama": Family("llama-nemoretriever-1b", "llama", DECODER, tokens="qwen", pooling="mean"),
    "mistral": Family(
        "e5-mistral-7b-instruct",
        "mistral",
        _sizes(DECODER, sliding_window=None),
        tokens="qwen",
        pooling="lasttoken",
        normalize=True,
    ),
    "gpt2": Family(
        "SGPT",
        "gpt2",
        {"n_embd": 32, "n_layer": 3, "n_head": 2, "n_positions": 160, "initializer_range": 0.2},
        tokens="qwen",
        pooling="weightedmean",
    ),
    "gpt-neox": Family("pythia", "gpt_neox", BERT, tokens="qwen", pooling="weightedmean"),
    "ernie": Family("ernie-2.0-base-en", "ernie", BERT),
    "megatron-bert": Family("megatron-bert", "megatron-bert", BERT),
    "data2vec": Family("data2vec-text-base", "data2vec-text", BERT, tokens="roberta"),
    "longformer": Family(
        "longformer-base-4096", "longformer", _sizes(BERT, attention_window=16), tokens="roberta"
    ),
    "big-bird": Family(
        "bigbird-roberta-base",
        "big_bird",
        _sizes(BERT, attention_type="original_full", block_size=8),
    ),
    "nystromformer": Family(
        "nystromformer-512",
        "nystromformer",
        _sizes(BERT, num_landmarks=4, segment_means_seq_len=16),
    ),
    "fnet": Family("fnet-base", "fnet", BERT),
    "xlnet": Family(
        "xlnet-base",
        "xlnet",
        {"d_model": 32, "n_layer": 3, "n_head": 2, "d_inner": 64},
        limit=LIMIT,
    ),
}


def build(
    name: str, folder: Path, texts: Sequence[str], sizes: Mapping[str, Any] | None = None
) -> Path:
    """Write the tiny model of the family ``name``, whose tokenizer learns ``texts``.

    ``sizes`` has options of its configuration that make it larger, where no Dense follows.
    """
    import torch
    import transformers

    family = FAMILIES[name]
    tokenizer, specials = _TOKENIZERS[family.tokens](texts)
    options = {**family.sizes, **(sizes or {})}
    options["vocab_size"] = max(tokenizer.get_vocab_size(), options.get("vocab_size", 0))
    for role in ("pad", "bos", "eos"):
        if token := specials.get(f"{role}_token"):
            options[f"{role}_token_id"] = tokenizer.token_to_id(token)
    config = transformers.AutoConfig.for_model(family.model_type, **options)
    if family.model_class == "AutoModel":
        make: Callable[[Any], Any] = transformers.AutoModel.from_config
    else:
        make = getattr(transformers, family.model_class)
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what transformers says of its own use of torch
        torch.manual_seed(0)
        model = make(config)
        if family.tokens == "t5":  # T5's own initialisation grows with the inverse of the width
            for parameter in model.parameters():
                parameter.data.normal_(0, 0.2) if parameter.dim() > 1 else None
        model.save_pretrained(folder)
        width = options.get("hidden_size", 32)
        _write_layout(folder, family, tokenizer, specials, width)
    return folder


def _write_layout(
    folder: Path, family: Family, tokenizer: Tokenizer, specials: Mapping[str, str], width: int
) -> None:
    import torch
    from safetensors.torch import save_file

    pooling = [family.pooling] if isinstance(family.pooling, str) else list(family.pooling)
    pooling_config: dict[str, Any] = {"word_embedding_dimension": width}
    keys = {
        "mean": "mean_tokens",
        "cls": "cls_token",
        "max": "max_tokens",
        "lasttoken": "lasttoken",
    }
    keys |= {"weightedmean": "weightedmean_tokens", "mean_sqrt_len_tokens": "mean_sqrt_len_tokens"}
    for mode, key in keys.items():
        pooling_config[f"pooling_mode_{key}"] = mode in pooling
    modules = [("Transformer", ""), ("Pooling", "1_Pooling")]
    documents: dict[str, Any] = {"1_Pooling/config.json": pooling_config}
    for layer in family.dense:
        path = f"{len(modules)}_Dense"
        modules.append(("Dense", path))
        documents[f"{path}/config.json"] = {"bias": True, **layer}
        shape = (layer["out_features"], layer["in_features"])
        arrays = {"linear.weight": torch.randn(shape)}
        if layer.get("bias", True):
            arrays["linear.bias"] = torch.randn(layer["out_features"])
        (folder / path).mkdir(parents=True)
        save_file(arrays, folder / path / "model.safetensors", {"format": "pt"})
    if family.layer_norm:
        path = f"{len(modules)}_LayerNorm"
        modules.append(("LayerNorm", path))
        documents[f"{path}/config.json"] = {"dimension": 32}
        (folder / path).mkdir()
        norm = {"norm.weight": torch.randn(32), "norm.bias": torch.randn(32)}
        save_file(norm, folder / path / "model.safetensors", {"format": "pt"})
    if family.normalize:
        modules.append(("Normalize", f"{len(modules)}_Normalize"))
    documents["modules.json"] = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, (kind, path) in enumerate(modules)
    ]
    documents["sentence_bert_config.json"] = {
        "max_seq_length": family.limit,
        "do_lower_case": False,
    }
    if family.prompts:
        documents["config_sentence_transformers.json"] = {"prompts": dict(family.prompts)}
    documents["tokenizer_config.json"] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": family.limit or 2048,
        "padding_side": family.padding_side,
        **specials,
    }
    documents["special_tokens_map.json"] = dict(specials)
    (folder / "1_Pooling").mkdir()
    for name, document in documents.items():
        (folder / name).write_text(json.dumps(document), encoding="utf-8")
    tokenizer.save(str(folder / "tokenizer.json"))


def _wordpiece(texts: Sequence[str]) -> tuple[Tokenizer, Mapping[str, str]]:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(
        vocab_size=1000, special_tokens=list(BERT_SPECIALS.values()), show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return _template(tokenizer, "[CLS]", "[SEP]"), BERT_SPECIALS


def _roberta(texts: Sequence[str]) -> tuple[Tokenizer, Mapping[str, str]]:
    tokenizer = _byte_bpe(texts, ["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    return _template(tokenizer, "<s>", "</s>"), ROBERTA_SPECIALS


def _t5(texts: Sequence[str]) -> tuple[Tokenizer, Mapping[str, str]]:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=800,
        special_tokens=list(T5_SPECIALS.values()),
        unk_token="<unk>",
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return _template(tokenizer, None, "</s>"), T5_SPECIALS


def _qwen(texts: Sequence[str]) -> tuple[Tokenizer, Mapping[str, str]]:
    tokenizer = _byte_bpe(texts, ["<|endoftext|>"])
    return _template(tokenizer, None, "<|endoftext|>"), QWEN_SPECIALS


def _gemma(texts: Sequence[str]) -> tuple[Tokenizer, Mapping[str, str]]:
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    trainer = trainers.BpeTrainer(
        vocab_size=800,
        special_tokens=["<pad>", "</s>", "<bos>", "<unk>", *(f"<0x{i:02X}>" for i in range(256))],
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return _template(tokenizer, "<bos>", "</s>"), GEMMA_SPECIALS


def _byte_bpe(texts: Sequence[str], specials: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=800,
        special_tokens=specials,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def _template(tokenizer: Tokenizer, first: str | None, last: str) -> Tokenizer:
    ids = [(token, tokenizer.token_to_id(token)) for token in {first, last} if token]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=" ".join(filter(None, (first, "$A", last))), special_tokens=ids
    )
    return tokenizer


_TOKENIZERS: Mapping[str, Callable[[Sequence[str]], tuple[Tokenizer, Mapping[str, str]]]] = {
    "wordpiece": _wordpiece,
    "roberta": _roberta,
    "t5": _t5,
    "qwen": _qwen,
    "gemma": _gemma,
}
