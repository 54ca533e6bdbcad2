"""Texts on which tokenizers disagree, to test that token ids are equal one by one.

The reference is the published ``tokenizer.json``, run by the tokenizers library. transformers 5
rebuilds some tokenizers from their vocabulary instead of reading that file: for ALBERT it drops the
SentencePiece character map, so that a zero-width or control character, which the published file
removes or turns into a space, becomes ``<unk>`` there.
"""

__all__ = ["PARITY_TEXTS"]

PARITY_TEXTS: tuple[str, ...] = (
    "",
    " ",
    "\t\n\r",
    "a\tb\nc\r\nd",
    "  two  spaces   between    words  ",
    "I ❤️ 🍕, 👩‍👩‍👧‍👦 and 🇳🇱!",
    "🤷🏽‍♀️🤷🏽‍♀️🤷🏽‍♀️",
    "café naïve Ångström Łódź İstanbul ß ẞ",
    "cafe\u0301 nai\u0308ve A\u030angstro\u0308m",  # the same letters, decomposed
    "e\u0301\u0301\u0301\u0301 z\u0336a\u0336l\u0336g\u0336o\u0336",
    "自然言語処理は楽しい",
    "我喜欢机器学习和深度学习。",
    "한국어 문장도 있습니다",
    "Привет, мир! Γειά σου Κόσμε",
    "مرحبا بالعالم שלום עולם",
    "नमस्ते दुनिया ไม่เป็นไร",
    "a\u200bb zero\u200cwidth\u200djoiners\ufeff and word\u2060joiner",
    "soft\u00adhyphen non\u00a0breaking\u202fspaces\u2003em",
    "left\u200eright\u200fmarks \u202eoverride\u202c",
    "ﬁne ﬂat oﬀer ﬆop Ĳssel ǆ",
    "Ｆｕｌｌ　ｗｉｄｔｈ　１２３！",
    "①②③ ½ ¾ ² ³ ™ ℡ ㎏ Ⅷ",
    "nul\x00 bell\x07 escape\x1b[31m delete\x7f nel\x85 c1\x9f",
    "line\u2028separator paragraph\u2029separator",
    "replacement \ufffd private \ue000 unassigned \U000e0001",
    "``quoted'' \"double\" 'single' “curly” ‘curly’ «guillemets» „low“",
    "don't can't won't it's O'Neil rock'n'roll",
    "dash - en – em — minus − hyphen ‐ non-breaking ‑",
    "...…‥ !?!? ¿qué? ¡no!",
    "[CLS] [SEP] [MASK] [UNK] [PAD] <s> </s> <unk> <pad> ##ing ▁ _",
    "https://example.com/a?b=c&d=%20e#f user+tag@mail.example.org",
    "C:\\Users\\x\\y.txt /usr/bin/env $HOME ~/.config",
    "1234567890 3.14159 1,000,000.00 0x1F 1e-9 ٣٤٥ १२३",
    "x = {'a': [1, 2], \"b\": None}; y <= x != z && !w || (u ^ v)",
    "a" * 150,
    "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft",
    "supercalifragilisticexpialidocious" * 8,
    "word " * 600,
    "UPPER lower MiXeD ÀÉÎ ΣΑΣ ǅ",
    "\U0001d4d7\U0001d4ee\U0001d4f5\U0001d4f5\U0001d4f8 \U00010348",
)
