"""Checkpoints as a published model has them, tiny and with random weights."""

import json
from pathlib import Path
from typing import Any

from tokenizers import (
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

TINY_LIMIT = 128


def save_weights(architecture: Any, config: Any, folder: Path) -> None:
    """Write a model with reproducible random weights."""
    import torch
    import transformers

    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    # A model this small is not worth a second thread; on a busy machine they wait for each other.
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        architecture(config).save_pretrained(folder)


def save_layout(
    folder: Path,
    tokenizer: Tokenizer,
    *,
    hidden_size: int,
    normalize: bool,
    pad: str = "[PAD]",
    unk: str = "[UNK]",
) -> None:
    """Write tokenizer and sentence-transformers' files around a checkpoint."""
    specials = {"pad_token": pad, "unk_token": unk}
    specials |= {"cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
    names = ["Transformer", "Pooling"] + ["Normalize"] * normalize
    paths = ["", "1_Pooling", "2_Normalize"]
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{name}"}
        for i, (path, name) in enumerate(zip(paths, names, strict=False))
    ]
    documents: dict[str, Any] = {
        "modules.json": modules,
        "1_Pooling/config.json": {
            "word_embedding_dimension": hidden_size,
            "pooling_mode_cls_token": False,
            "pooling_mode_mean_tokens": True,
            "pooling_mode_max_tokens": False,
            "pooling_mode_mean_sqrt_len_tokens": False,
        },
        "sentence_bert_config.json": {"max_seq_length": TINY_LIMIT, "do_lower_case": False},
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": TINY_LIMIT,
            **specials,
        },
        "special_tokens_map.json": specials,
    }
    (folder / "1_Pooling").mkdir()
    for name, document in documents.items():
        (folder / name).write_text(json.dumps(document), encoding="utf-8")
    card = "---\nlicense: apache-2.0\nlanguage: en\n---\n\n# A model for tests\n"
    (folder / "README.md").write_text(card, encoding="utf-8")
    # As published files often have it; a length that the runtime must not take over.
    tokenizer.enable_truncation(16)
    tokenizer.enable_padding(length=16, pad_token=pad, pad_id=tokenizer.token_to_id(pad))
    tokenizer.save(str(folder / "tokenizer.json"))


BERT_SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def wordpiece_tokenizer(corpus: list[str], specials: list[str] = BERT_SPECIALS) -> Tokenizer:
    """Train a WordPiece tokenizer with BERT's normalisation and template."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(
        vocab_size=1000, special_tokens=specials, show_progress=False
    )
    tokenizer.train_from_iterator(corpus, trainer)
    return _with_template(tokenizer)


def unigram_tokenizer(corpus: list[str]) -> Tokenizer:
    """Train a unigram tokenizer with ALBERT's normalisation and template."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Replace("``", '"'),
            normalizers.Replace("''", '"'),
            normalizers.NFKD(),
            normalizers.StripAccents(),
            normalizers.Lowercase(),
            normalizers.Nmt(),  # SentencePiece's rule for control and zero-width characters
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
    )
    tokenizer.decoder = decoders.Metaspace()
    specials = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.UnigramTrainer(
        vocab_size=800, special_tokens=specials, unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(corpus, trainer)
    return _with_template(tokenizer)


def _with_template(tokenizer: Tokenizer) -> Tokenizer:
    ids = [(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ids
    )
    return tokenizer
