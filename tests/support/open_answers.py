"""Tasks with open answers on tiny random models, and plain ways to ask them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from probes.cards import AnswerKind, DatasetCard, TextRows
from probes.models.causal_lm.causal_lm import CausalLM
from tests.support.tiny_models import tiny

CHARACTERS = "\n :abcdefghijklmnopqrstuvwxyzINPUTOSLABELS0123456789()[]{}<>?!-+"
TOML = """
answers = "open"
[template]
query = "Input: {input}\\nOutput:"
answer = "ANSWER"
[columns]
label = "output"
"""
MOST_NEW = 12  # tokens that are generated


def character_tokenizer() -> Any:
    """Make every character a token."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    characters = list(dict.fromkeys(CHARACTERS))
    vocabulary = {c: i for i, c in enumerate(characters)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


def talkative(kind: str) -> CausalLM:
    """Make a tiny random model that ends lines often, so that answers are short."""
    model = tiny(kind)
    head = model.get_output_embeddings().weight.data
    head *= 4  # so that its answers differ much
    head[0] *= 1.5
    return CausalLM(model, character_tokenizer())


def write_rows(
    folder: Path,
    outputs: dict[str, Any],
    train: int,
    *,
    answer: str = "{label}",
    answers: AnswerKind = "open",
) -> DatasetCard:
    """Write inputs with their outputs as a dataset; the first ones are train rows."""
    folder.mkdir(exist_ok=True)
    rows = [{"input": word, "output": output} for word, output in outputs.items()]
    for split, part in (("train", rows[:train]), ("test", rows[train:])):
        text = "".join(json.dumps(row) + "\n" for row in part)
        (folder / f"{split}.jsonl").write_text(text, "utf-8")
    described = TOML.replace("ANSWER", answer).replace('"open"', f'"{answers}"')
    (folder / "dataset.toml").write_text(described, "utf-8")
    rows_of = TextRows(location=str(folder), answers=answers)
    return DatasetCard(name=folder.name, family="text", summary="", rows=rows_of)


def words(n: int, seed: int = 0) -> list[str]:
    """Make up different words."""
    rng, made = np.random.default_rng(seed), dict[str, None]()
    while len(made) < n:
        made["".join(rng.choice(list("abcdefghijklmnop"), rng.integers(2, 6)))] = None
    return list(made)


@cache
def ends_of_lines(tokenizer: Any) -> list[int]:
    """Decode every token, and keep those with nothing but space before a new line."""
    return [
        token
        for token in range(len(tokenizer))
        if token == tokenizer.eos_token_id
        or tokenizer.decode([token]).lstrip(" ").startswith(("\n", "\r"))
    ]


def generated(model: CausalLM, prompt: Sequence[int]) -> str:
    """Decode greedily by the library, and give the text up to the end of the line."""
    asked = torch.tensor([list(prompt)], device=model.device)
    found = model.model.generate(
        asked,
        attention_mask=torch.ones_like(asked),
        do_sample=False,
        max_new_tokens=MOST_NEW,
        eos_token_id=ends_of_lines(model.tokenizer),
        pad_token_id=0,
    )
    text = model.tokenizer.decode(found[0, len(prompt) :], skip_special_tokens=True)
    return str(text).split("\n")[0].strip()


def plain_log_probs(
    model: CausalLM, prompt: Sequence[int], answer: Sequence[int]
) -> Any:
    """Run a prompt with its answer whole: log-probabilities at each answer token."""
    with torch.no_grad():
        whole = torch.tensor([[*prompt, *answer]], device=model.device)
        logits = model.model(whole).logits[0, len(prompt) - 1 : -1]
    return torch.log_softmax(logits.double(), dim=-1).cpu().numpy()
