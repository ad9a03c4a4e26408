"""A converted GGUF file is the model that transformers reads from it."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from probes.cell import Settings
from probes.errors import ModelError
from probes.models.causal_lm.loading import load_causal_lm
from probes.models.files import gguf_conversion
from probes.models.files.converted_models import VARIABLE
from probes.models.files.fingerprint import fingerprint
from probes.models.files.gguf_conversion import converted_checkpoint
from probes.run.grid import model_named
from tests.support.gguf_files import TEXTS, vocabulary, write_gguf

ARCHITECTURES = ("llama", "gemma3", "qwen2", "qwen3", "gemma2")
CASES = [
    *((a, s) for a in ARCHITECTURES[:2] for s in ("Q4_1", "Q4_K_M", "Q8_0", "F16")),
    *((a, "Q8_0") for a in ARCHITECTURES[2:]),
    ("gemma3", "BF16"),
]


def convert_once(path: Path) -> Path:
    return Path(converted_checkpoint(path).location)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv(VARIABLE, str(folder))
    return folder


def left_in(cache: Path) -> list[str]:
    """Name what a conversion left behind, the locks aside."""
    found = cache.iterdir() if cache.is_dir() else ()
    return sorted(path.name for path in found if path.suffix != ".lock")


@pytest.mark.parametrize(("architecture", "stored"), CASES)
def test_it_answers_as_the_library_s_own_reading_does(
    architecture: str, stored: str, tmp_path: Path
) -> None:
    pytest.importorskip("accelerate", reason="the library's reading needs it")
    from transformers import AutoModelForCausalLM, AutoTokenizer

    path = write_gguf(tmp_path / "any.gguf", architecture, stored)
    ours = load_causal_lm(model_named(str(path)), Settings())
    given: dict[str, Any] = {"gguf_file": path.name, "trust_remote_code": False}
    theirs = AutoModelForCausalLM.from_pretrained(
        tmp_path, dtype=torch.float32, use_safetensors=True, **given
    )
    tokenizer = AutoTokenizer.from_pretrained(tmp_path, **given)
    for text in TEXTS:
        tokens = tokenizer(text)["input_ids"]
        assert ours.tokenizer(text)["input_ids"] == tokens
        with torch.no_grad():
            logits = theirs(torch.tensor([tokens])).logits[0, -1]
            assert torch.equal(
                ours.model(torch.tensor([tokens])).logits[0, -1], logits
            ), text
        log_probs = torch.from_numpy(ours.next_token_log_probs([tokens])[0])
        assert torch.allclose(log_probs, logits.log_softmax(-1), atol=1e-4)


@pytest.mark.parametrize(("architecture", "begins"), [("llama", []), ("gemma3", [2])])
@pytest.mark.parametrize("adds", [None, True, False])
def test_prompts_begin_as_the_file_says(
    architecture: str, begins: list[int], adds: bool | None, tmp_path: Path
) -> None:
    changes = {} if adds is None else {"tokenizer__ggml__add_bos_token": adds}
    path = write_gguf(tmp_path / "any.gguf", architecture, **changes)
    tokenizer = load_causal_lm(model_named(str(path)), Settings()).tokenizer
    start = {"llama": [1], "gemma3": [2]}[architecture]
    wanted = begins if adds is None else start if adds else []
    first = tokenizer(["a"])["input_ids"][0][:1]
    assert (first == start) == bool(wanted)


def test_the_converted_weights_are_those_of_the_content_wherever_the_file_lies(
    tmp_path: Path, cache: Path
) -> None:
    first = write_gguf(tmp_path / "first.gguf")
    other = Path(shutil.copy(first, tmp_path / "other.gguf"))
    one, two = model_named(str(first)), model_named(str(other))
    assert (one.name, two.name) == ("first", "other")
    assert one.weights == two.weights
    assert fingerprint(one) == fingerprint(two)
    assert len(left_in(cache)) == 1
    third = model_named(str(write_gguf(tmp_path / "third.gguf", stored="Q4_1")))
    assert fingerprint(third) != fingerprint(one)
    assert (one.weights.quantisation, third.weights.quantisation) == (
        "Q8_0, F32",
        "Q4_1, F32",
    )


def test_a_file_is_converted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_gguf(tmp_path / "any.gguf")
    folder = convert_once(path)
    monkeypatch.delattr(gguf_conversion, "place_converted")
    assert convert_once(path) == folder


def test_an_untrained_model_may_have_its_architecture(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "any.gguf")
    card = model_named(f"untrained:{path}")
    assert (card.name, card.kind) == ("untrained:any", "untrained")
    assert load_causal_lm(card, Settings()).n_weight_bytes > 0


def test_files_beside_it_are_not_read_and_its_chat_template_is_not_kept(
    tmp_path: Path,
) -> None:
    template = {"tokenizer__chat_template": "{{ 1 / 0 }}"}
    path = write_gguf(tmp_path / "any.gguf", **template)
    for name in ("config.json", "tokenizer_config.json"):
        (tmp_path / name).write_text('{"auto_map": {"AutoTokenizer": "trap.T"}}')
    (tmp_path / "trap.py").write_text("raise SystemExit(9)")
    folder = convert_once(path)
    assert not list(folder.glob("*.jinja"))
    config = json.loads((folder / "tokenizer_config.json").read_text())
    assert not config.get("chat_template")


def test_tokens_that_only_the_library_knows_are_left_out(tmp_path: Path) -> None:
    tokens = ["<|end|>", *vocabulary("llama")["tokenizer.ggml.tokens"][1:]]
    path = write_gguf(tmp_path / "any.gguf", tokenizer__ggml__tokens=tokens)
    tokenizer = load_causal_lm(model_named(str(path)), Settings()).tokenizer
    assert len(tokenizer) == len(tokens)  # the library adds <|endoftext|>
    assert tokenizer.convert_ids_to_tokens(list(range(len(tokens)))) == tokens
    assert tokenizer.eos_token == "<|end|>"


# ------------------------------------------------------------------------- bad input

BAD = {
    "an unknown architecture": (
        {"general__architecture": "rwkv7"},
        r"has the architecture 'rwkv7'. Expected one of: llama",
    ),
    "an unknown rule of splitting": (
        {"tokenizer__ggml__pre": "made-up"},
        "The tokenizer of .* cannot be rebuilt: it splits texts by .*'made-up'",
    ),
    "an unknown kind of vocabulary": (
        {"tokenizer__ggml__model": "rwkv"},
        "The tokenizer of .* cannot be rebuilt",
    ),
    "a space that the library leaves out": (
        {"tokenizer__ggml__add_space_prefix": True},
        "cannot be rebuilt: the file puts a space before every text",
    ),
    "a first token that it does not name": (
        {
            "tokenizer__ggml__add_bos_token": True,
            "tokenizer__ggml__bos_token_id": None,
        },
        "cannot be rebuilt: the file puts its token None before every text",
    ),
    "scaled positions": (
        {"llama__rope__scaling__type": "linear"},
        r"scales its rotary positions \(llama.rope.scaling.type\)",
    ),
    "a part of a model": ({"split__count": 3}, "is one of 3 parts of a model"),
    "more layers than its tensors": (
        {"llama__block_count": 3},
        "has no such tensor for model.layers.2",
    ),
    "fewer layers than its tensors": (
        {"llama__block_count": 1},
        "9 tensors that the conversion would leave out, among them blk.1",
    ),
    "endless layers": ({"llama__block_count": 2**31}, "Expected at most 1000"),
    "no heads": (
        {"llama__attention__head_count": 0},
        "has a configuration that cannot be used",
    ),
    "a vocabulary without letters": (
        {
            "tokenizer__ggml__tokens": [f"<{number}>" for number in range(266)],
            "tokenizer__ggml__merges": ["a b"],
        },
        "The tokenizer of .* cannot be rebuilt",
    ),
    "another size of heads": (
        {"llama__attention__key_length": 32},
        "says that attention.key_length is 32, .* head_dim = 64",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_converted_is_an_error_and_leaves_nothing(
    case: str, tmp_path: Path, cache: Path
) -> None:
    changes, message = BAD[case]
    path = write_gguf(tmp_path / "bad.gguf", **changes)
    with pytest.raises(ModelError, match=message) as caught:
        model_named(str(path))
    assert str(path) in str(caught.value)
    assert left_in(cache) == []


def test_a_full_disk_leaves_nothing_half_converted(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_gguf(tmp_path / "any.gguf")

    def fill(target: Path, plans: Any, tensors: Any) -> None:
        target.write_bytes(next(iter(tensors)).tobytes())
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(gguf_conversion, "write_tensors", fill)
        with pytest.raises(ModelError, match="No space left on device") as caught:
            convert_once(path)
    assert str(path) in str(caught.value)
    assert VARIABLE in str(caught.value)
    assert left_in(cache) == []
    assert convert_once(path).is_dir()


def test_what_a_killed_conversion_left_is_cleared(tmp_path: Path, cache: Path) -> None:
    path = write_gguf(tmp_path / "any.gguf")
    folder = convert_once(path)
    unfinished = folder.with_suffix(".part")
    folder.rename(unfinished)
    (unfinished / "model.safetensors").write_bytes(b"half")
    assert convert_once(path) == folder
    assert left_in(cache) == [folder.name]
    assert load_causal_lm(model_named(str(path)), Settings()).n_weight_bytes > 0


def test_damage_after_the_conversion_is_noticed(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "any.gguf")
    weights = convert_once(path) / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(ModelError, match="is not the one that was shipped"):
        load_causal_lm(model_named(str(path)), Settings())
