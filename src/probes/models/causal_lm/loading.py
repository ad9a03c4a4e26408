"""Load a causal language model safely: trained, or untrained in either form.

Only safetensors are read, and a model's own code never runs. Weights that the library
would silently fill with random numbers are an error.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from probes.cards import Checkpoint, ModelCard, Untrained
from probes.cell import Settings
from probes.errors import ModelError
from probes.models.architectures import architecture_of
from probes.models.causal_lm.causal_lm import CausalLM
from probes.models.causal_lm.embedded_tokens import EmbeddedTokens
from probes.models.causal_lm.loading_checks import (
    LEAST_TOKENS_PER_ROW,
    first_sentence,
    require_fit,
    require_plain_decoder,
    unused_text,
)
from probes.models.causal_lm.prefix_checks import require_causal
from probes.models.causal_lm.tokenizers import read_tokenizer
from probes.models.files.fingerprint import local_folder
from probes.models.files.safetensors_headers import count_parameters, require_loadable
from probes.models.quiet_transformers import quiet_transformers
from probes.models.runtime.devices import SPREAD, require_accelerate
from probes.models.runtime.memory import require_free_memory

HARM = {
    "missing": "fill the gap with random numbers",
    "mismatched": "fill the gap with random numbers",
    "unused": "drop them and make another model than was saved",
}
"""What the library does silently about tensors that do not fit."""


def load_causal_lm(card: ModelCard, settings: Settings) -> CausalLM:
    """Load a checkpoint, or its architecture with seeded random weights.

    Random weights are drawn on their final device and in their final precision, so that
    no wider copy of them ever exists. Their values depend on the seed and on whether a
    CPU or a GPU draws them.

    Raises:
        ModelError: The folder lacks tensors, has torn files or none in safetensors,
            asks for its own code, or has NaN weights or another model's tokenizer.
    """
    source, original = card.weights, card.architecture_source
    assert isinstance(source, Checkpoint | Untrained)
    assert isinstance(original, Checkpoint)
    is_random = isinstance(source, Untrained) and not source.keeps_trained_parts
    folder = local_folder(original)
    require_loadable(folder, needs_weights=not is_random)
    require_plain_decoder(folder)
    _require_room(card, folder, settings)
    try:
        tokenizer = read_tokenizer(folder)
        model, unused = _model(folder, source, settings)
    except ModelError:
        raise
    except Exception as error:  # transformers and safetensors raise many kinds
        raise ModelError(
            f"{folder} cannot be loaded as a causal language model: "
            f"{first_sentence(error)} "
            f"Expected config.json, a tokenizer and *.safetensors that fit together. "
            f"Save it again with save_pretrained."
        ) from error
    n_rows = require_fit(
        folder, model, tokenizer, least=0.0 if is_random else LEAST_TOKENS_PER_ROW
    )
    if len(tokenizer) > n_rows:
        tokenizer = EmbeddedTokens(tokenizer, n_rows)
    if settings.device != SPREAD:
        model = model.to(settings.device)
    elif not hasattr(model, "hf_device_map"):
        model = _spread(model)
    require_causal(model)
    return CausalLM(model, tokenizer, left_out=unused_text(card.name, unused))


def _spread(model: Any) -> Any:
    """Spread a model's layers over all GPUs, as the library does with a checkpoint."""
    require_accelerate()
    import accelerate

    device_map = accelerate.infer_auto_device_map(
        model, no_split_module_classes=list(model._no_split_modules or ())
    )
    return accelerate.dispatch_model(model, device_map=device_map)


def _require_room(card: ModelCard, folder: Path, settings: Settings) -> None:
    """Refuse a model that does not fit, before the first tensor is read."""
    if settings.device == SPREAD:
        return  # layers beyond the GPUs' memory stay in the machine's, and are slow
    # The headers give the stored size, the configuration the built one; either can lie.
    stored = 0 if isinstance(card.weights, Untrained) else count_parameters(folder)
    keeps = isinstance(card.weights, Untrained) and card.weights.keeps_trained_parts
    # What is kept is held while the trained model makes room for the random one.
    built, buffers = _count(folder, held_twice=keeps)
    known = card.n_parameters or max(stored, built)
    dtype = getattr(torch, settings.dtype)
    require_free_memory(
        (known + buffers) * dtype.itemsize,
        torch.device(settings.device),
        what=f"Loading {card.name}, {known:,} parameters in {settings.dtype},",
        fix="Pass a narrower --dtype, another --device, or a smaller model.",
    )


def _count(folder: Path, *, held_twice: bool) -> tuple[int, int]:
    """Count the numbers in an architecture without allocating them.

    Args:
        folder: The model's.
        held_twice: Whether embeddings and norms are in memory twice.

    Returns:
        Parameters; and other numbers: buffers, such as masks of the whole context, and
        the second embeddings and norms.

    Raises:
        ModelError: The library cannot build the configuration.
    """
    try:
        model = _random(folder, torch.float32, torch.device("meta"), seed=0)
    except Exception as error:  # transformers raises many kinds
        raise ModelError(
            f"{folder}/config.json cannot be used: {first_sentence(error)} "
            f"Expected the "
            f"configuration of a causal language model that transformers knows. Save "
            f"the model again."
        ) from error
    parts = (model.parameters(), model.buffers())
    n_parameters, n_others = (sum(x.numel() for x in part) for part in parts)
    if held_twice:
        n_others += sum(p.numel() for p in embeddings_and_norms(model).values())
    return n_parameters, n_others


def _model(
    folder: Path, source: Checkpoint | Untrained, settings: Settings
) -> tuple[Any, list[str]]:
    """Load or draw a model; name the stored tensors that it does not use."""
    dtype, allows = getattr(torch, settings.dtype), settings.unused_tensors == "allow"
    if isinstance(source, Checkpoint):
        return _trained(folder, dtype, settings.device, allows_unused=allows)
    unused: list[str] = []
    place = "cpu" if settings.device == SPREAD else settings.device
    kept = {}
    if source.keeps_trained_parts:
        # Copied before anything is drawn: two whole models would be twice the memory.
        whole, unused = _trained(folder, dtype, allows_unused=allows)
        trained = embeddings_and_norms(whole)
        kept = {name: weight.detach().clone() for name, weight in trained.items()}
        del trained, whole
    model = _random(folder, dtype, torch.device(place), source.seed)
    with torch.no_grad():
        for name, tensor in kept.items():
            model.get_parameter(name).copy_(tensor)
    return model, unused


def _trained(
    folder: Path,
    dtype: torch.dtype,
    device: str = "cpu",
    *,
    allows_unused: bool = False,
) -> tuple[Any, list[str]]:
    spread = {}
    if device == SPREAD:
        require_accelerate()
        spread = {"device_map": SPREAD}
    model, info = quiet_transformers().AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=dtype,
        use_safetensors=True,
        trust_remote_code=False,
        local_files_only=True,
        output_loading_info=True,
        ignore_mismatched_sizes=True,
        **spread,
    )
    wrong = {
        "missing": sorted(info["missing_keys"]),
        "unused": sorted(info["unexpected_keys"]),
        "mismatched": sorted(map(_mismatch, info["mismatched_keys"])),
    }
    unused = wrong.pop("unused") if allows_unused else []
    for problem, names in wrong.items():
        if names:
            go_on = ", or pass --unused-tensors allow" * (problem == "unused")
            raise ModelError(
                f"{folder} has {len(names)} {problem} tensors, among them {names[0]}. "
                f"Expected exactly the tensors of the architecture in their shapes; "
                f"the loader would {HARM[problem]}. Save the checkpoint again, or mend "
                f"its config.json{go_on}."
            )
    for name, tensor in model.named_parameters():
        if not torch.isfinite(tensor).all():
            raise ModelError(
                f"{folder} has NaN or infinite weights in {name}. Expected finite "
                f"numbers. Take another checkpoint."
            )
    return model, unused


def _mismatch(key: Any) -> str:
    name, *shapes = key if isinstance(key, tuple) else (key,)
    sizes = " where ".join(str(tuple(shape)) for shape in shapes[:2])
    return f"{name}, {sizes} is expected" if len(shapes) > 1 else str(name)


def _random(folder: Path, dtype: torch.dtype, device: torch.device, seed: int) -> Any:
    config = quiet_transformers().AutoConfig.from_pretrained(
        folder, trust_remote_code=False, local_files_only=True
    )
    own = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=own), device:
        torch.manual_seed(seed)
        return quiet_transformers().AutoModelForCausalLM.from_config(
            config, dtype=dtype
        )


def embeddings_and_norms(model: Any) -> dict[str, torch.Tensor]:
    """Find the parameters of the embeddings, of the norms and of the output layer.

    Raises:
        ModelError: The architecture is not described.
    """
    architecture, output = architecture_of(model), model.get_output_embeddings()
    return {
        f"{path}.{name}": parameter
        for path, module in model.named_modules()
        if module is output or architecture.is_embedding_or_norm(path)
        for name, parameter in module.named_parameters(recurse=False)
    }
