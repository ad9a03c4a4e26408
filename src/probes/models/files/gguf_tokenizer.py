"""Rebuild the tokenizer of a GGUF file, and check that it does what the file says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from probes.errors import ModelError
from probes.models.files.gguf_header import GGUFHeader
from probes.models.quiet_transformers import quiet_transformers

SAMPLES = ["a", "Input: cat\nOutput: cats\n\nInput: 2 dogs\nOutput:", " é  x\n"]
SPLITS_LIKE_GPT_2 = {"gpt-2", "phi-2", "mpt", "olmo", "smollm", "starcoder", "refact"}
"""Byte-level vocabularies whose texts the library may split as GPT-2 does. Some split
digits first, which changes nothing, because no token of theirs joins two digits."""
SPLITS = SPLITS_LIKE_GPT_2 | {
    *("llama3", "llama-v3", "llama-bpe", "falcon3", "dbrx", "smaug-bpe"),
    *("tekken", "qwen2", "deepseek-r1-qwen", "qwen35", "gpt-4o", "llama4"),
}
"""The rules of splitting that the library rebuilds for byte-level vocabularies."""
PREFIXES = ("▁", "Ġ")
SPECIAL = ("bos_token", "eos_token", "unk_token", "pad_token")


def write_tokenizer(
    header: GGUFHeader, config: Any, source: Path, folder: Path
) -> None:
    """Rebuild a file's tokenizer and write it into a folder.

    Args:
        header: The file's.
        config: The library's configuration of the model.
        source: The file, in a folder that holds nothing else.
        folder: Where tokenizer.json goes.

    Raises:
        ModelError: The tokenizer cannot be rebuilt, or does not do what the file says.
    """
    kind = header.metadata.get("tokenizer.ggml.model")
    split = header.metadata.get("tokenizer.ggml.pre", "gpt-2")
    if kind == "gpt2" and split not in SPLITS:
        raise _not_rebuilt(header, f"it splits texts by the rule {str(split)[:60]!r}")
    auto = quiet_transformers().AutoTokenizer
    try:
        built = auto.from_pretrained(
            source.parent,
            config=config,
            gguf_file=source.name,
            trust_remote_code=False,
            local_files_only=True,
        )
        built.chat_template = None  # a program, which nothing here needs
        built.save_pretrained(folder)
        _keep_to_the_file(folder, config.vocab_size)
        saved = auto.from_pretrained(
            folder, trust_remote_code=False, local_files_only=True
        )
        tokens, again = built(SAMPLES)["input_ids"], saved(SAMPLES)["input_ids"]
    except OSError:
        raise
    except Exception as error:  # transformers and tokenizers raise many kinds
        raise _not_rebuilt(header, str(error)[:300]) from error
    if tokens != again:
        raise _not_rebuilt(header, "it reads texts differently once it is saved")
    _require_told(header, saved)


def _keep_to_the_file(folder: Path, n_vocab: int) -> None:
    """Let tokenizer.json alone decide, without tokens that the library has added.

    The library adds tokens that are common in an architecture and missing in the file.
    The model has no embeddings for them.
    """
    path = folder / "tokenizer.json"
    whole = json.loads(path.read_text("utf-8"))
    added = whole["added_tokens"]
    whole["added_tokens"] = [token for token in added if token["id"] < n_vocab]
    path.write_text(json.dumps(whole, ensure_ascii=False), "utf-8")
    path = folder / "tokenizer_config.json"
    names = {token["content"] for token in whole["added_tokens"]}
    kept = {
        key: value
        for key, value in json.loads(path.read_text("utf-8")).items()
        if key in SPECIAL and value in names
    }
    kept["tokenizer_class"] = "TokenizersBackend"
    path.write_text(json.dumps(kept, indent=2) + "\n", "utf-8")


def _require_told(header: GGUFHeader, tokenizer: Any) -> None:
    """Check the start of a text: its special token, and the space before it."""
    told = header.metadata
    is_sentencepiece = told.get("tokenizer.ggml.model") == "llama"
    wants_start = told.get("tokenizer.ggml.add_bos_token", is_sentencepiece)
    start, tokens = told.get("tokenizer.ggml.bos_token_id"), tokenizer("a")["input_ids"]
    if (start in tokens[:1]) != wants_start:
        raise _not_rebuilt(
            header,
            f"the file {'puts' if wants_start else 'does not put'} its token {start} "
            f"before every text, and the rebuilt tokenizer makes {tokens} of 'a'",
        )
    plain = tokenizer("a", add_special_tokens=False)["input_ids"]
    if not plain:
        raise _not_rebuilt(header, "it makes no token of 'a'")
    has_space = tokenizer.convert_ids_to_tokens(plain)[0].startswith(PREFIXES)
    wants_space = told.get("tokenizer.ggml.add_space_prefix", has_space)
    if has_space != wants_space:
        raise _not_rebuilt(
            header,
            f"the file {'puts' if wants_space else 'does not put'} a space before "
            f"every text, and the rebuilt tokenizer does otherwise",
        )


def _not_rebuilt(header: GGUFHeader, why: str) -> ModelError:
    return ModelError(
        f"The tokenizer of {header.path} cannot be rebuilt: {why}. Expected a "
        f"vocabulary that transformers reads from GGUF files. Pass the same model as "
        f"a folder of safetensors."
    )
