"""The tokenizer: byte-level BPE with single digits, the marks of ChatML, and numbered marks.

The expression that cuts text before merging is the one GGUF files call "qwen2",
so that every reader of GGUF already knows it. Digits stay single, hence numbers
are copied digit by digit and never as a near miss. Numbered marks are control tokens that
nobody sees: one before every sentence of a passage (the chat template puts it there) and one
that the model writes before it quotes the sentence of that number.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

GGUF_PRE = "qwen2"
N_VOCAB = 8192
N_MARKS = 96
N_NUMBERS = 64  # of the marks, those that are used: sentences beyond start again with the first
END_OF_TEXT, TURN_START, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
SENTENCE_MARKS = [f"<|s{i}|>" for i in range(N_MARKS)]
QUOTE_MARKS = [f"<|q{i}|>" for i in range(N_MARKS)]
SPECIAL_TOKENS = [END_OF_TEXT, TURN_START, TURN_END, *SENTENCE_MARKS, *QUOTE_MARKS]

_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def train_tokenizer(
    texts: Iterable[str],
    path: Path,
    n_vocab: int = N_VOCAB,
    special_tokens: Sequence[str] = SPECIAL_TOKENS,
) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=n_vocab,
        special_tokens=list(special_tokens),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.save(str(path))
    return tokenizer
