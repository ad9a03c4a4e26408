"""Loading a causal language model safely: trained, or untrained in either form.

Only safetensors are read, no model's own code is ever run, and what the loader would
quietly fill with random numbers is an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from probes.cards import Checkpoint, ModelCard, Untrained
from probes.cell import Settings
from probes.errors import ModelError
from probes.models.causal_lm.causal_lm import CausalLM
from probes.models.files.fingerprint import resolve
from probes.models.files.safetensors_headers import count_parameters, require_usable
from probes.models.runtime.memory import require_free_memory

SPREAD = "auto"
"""The device that is all GPUs together, for a model that is too big for one."""
LEAST_SHARE = 0.5
"""Tokens an embedding row; published models pad their vocabularies by under 3 %."""


def load_causal_lm(card: ModelCard, settings: Settings) -> CausalLM:
    """Load a checkpoint, or its architecture with seeded random weights.

    Random weights are drawn where they will stay and in the precision that they will
    have, so that no wider copy of them ever exists. Their numbers depend on the seed
    and on whether a CPU or a GPU draws them.

    Raises:
        ModelError: The folder holds no whole safetensors, lacks tensors, asks for its
            own code, has weights that are NaN, or a tokenizer of another model.
    """
    source = card.weights
    assert isinstance(source, Checkpoint | Untrained)
    is_random = isinstance(source, Untrained) and not keeps_some(source)
    home = source.of if isinstance(source, Untrained) else source
    assert isinstance(home, Checkpoint)
    folder = resolve(home)
    require_usable(folder, needs_weights=not is_random)
    _require_room(card, folder, settings)
    try:
        tokenizer = _transformers().AutoTokenizer.from_pretrained(
            folder, trust_remote_code=False, local_files_only=True
        )
        model = _model(folder, source, settings)
    except ModelError:
        raise
    except Exception as error:  # transformers and safetensors raise many kinds
        raise ModelError(
            f"{folder} cannot be loaded as a causal language model: {str(error)[:300]} "
            f"Expected config.json, a tokenizer and *.safetensors that fit together. "
            f"Save it again with save_pretrained."
        ) from error
    _require_fit(folder, model, tokenizer, least=0.0 if is_random else LEAST_SHARE)
    if settings.device != SPREAD:
        model = model.to(settings.device)
    elif not hasattr(model, "hf_device_map"):
        model = _spread(model)
    return CausalLM(model, tokenizer)


def _spread(model: Any) -> Any:
    """Lay the layers of a model over all GPUs, as the loader does with a checkpoint."""
    accelerate = _accelerate()
    places = accelerate.infer_auto_device_map(
        model, no_split_module_classes=list(model._no_split_modules or ())
    )
    return accelerate.dispatch_model(model, device_map=places)


def _accelerate() -> Any:
    try:
        import accelerate
    except ImportError as error:
        raise ModelError(
            f"--device {SPREAD} was asked for, and accelerate is not installed. "
            f"Expected the extra large. Install it: pip install "
            f"'icl-gd-probes[large]'."
        ) from error
    return accelerate


def _require_room(card: ModelCard, folder: Path, settings: Settings) -> None:
    """Refuse a model that does not fit, before the first tensor is read."""
    if settings.device == SPREAD:
        return  # what no GPU holds goes to the machine's memory, and works slowly
    # The headers say what is stored, the configuration what is built: either can lie.
    stored = 0 if isinstance(card.weights, Untrained) else count_parameters(folder)
    built, buffers, kept = _count(folder)
    known = card.n_parameters or max(stored, built)
    if isinstance(card.weights, Untrained) and keeps_some(card.weights):
        buffers += kept  # held while the trained model makes room for the random one
    dtype = getattr(torch, settings.dtype)
    require_free_memory(
        (known + buffers) * dtype.itemsize,
        torch.device(settings.device),
        what=f"Loading {card.name}, {known:,} parameters in {settings.dtype},",
        fix="Pass a narrower --dtype, another --device, or a smaller model.",
    )


def _count(folder: Path) -> tuple[int, int, int]:
    """Count the numbers that an architecture builds, without building them.

    Returns:
        Parameters; what else it holds, such as masks of its whole context; and those of
        the parameters that are embeddings or norms.

    Raises:
        ModelError: The configuration is no architecture's.
    """
    try:
        model = _random(folder, torch.float32, torch.device("meta"), seed=0)
    except Exception as error:  # transformers raises many kinds
        raise ModelError(
            f"{folder}/config.json cannot be used: {str(error)[:300]} Expected the "
            f"configuration of a causal language model that transformers knows. Save "
            f"the model again."
        ) from error
    parts = (model.parameters(), model.buffers())
    n_parameters, n_buffers = (sum(x.numel() for x in part) for part in parts)
    n_kept = sum(model.get_parameter(name).numel() for name in kept_names(model))
    return n_parameters, n_buffers, n_kept


def keeps_some(source: Untrained) -> bool:
    """Say whether a twin takes some of its weights from the trained model."""
    return source.keeps != "nothing"


def _model(folder: Path, source: Checkpoint | Untrained, settings: Settings) -> Any:
    dtype = getattr(torch, settings.dtype)
    if isinstance(source, Checkpoint):
        return _trained(folder, dtype, settings.device)
    place = "cpu" if settings.device == SPREAD else settings.device
    # Read before anything is drawn: two whole models would be twice the memory.
    kept = _embeddings_and_norms(_trained(folder, dtype)) if keeps_some(source) else {}
    model = _random(folder, dtype, torch.device(place), source.seed)
    with torch.no_grad():
        for name, tensor in kept.items():
            model.get_parameter(name).copy_(tensor)
    return model


def _transformers() -> Any:  # much of it has no types
    import transformers

    logging: Any = transformers.utils.logging
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    return transformers


def _trained(folder: Path, dtype: torch.dtype, device: str = "cpu") -> Any:
    spread = {}
    if device == SPREAD:
        _accelerate()
        spread = {"device_map": SPREAD}
    model, info = _transformers().AutoModelForCausalLM.from_pretrained(
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
        "mismatched": sorted(map(_mismatch, info["mismatched_keys"])),
    }
    for problem, names in wrong.items():
        if names:
            raise ModelError(
                f"{folder} has {len(names)} {problem} tensors, among them {names[0]}. "
                f"Expected every tensor of the architecture in its shape; the loader "
                f"would fill the gap with random numbers. Save the checkpoint again, "
                f"complete."
            )
    for name, tensor in model.named_parameters():
        if not torch.isfinite(tensor).all():
            raise ModelError(
                f"{folder} has NaN or infinite weights in {name}. Expected finite "
                f"numbers. Take another checkpoint."
            )
    return model


def _mismatch(key: Any) -> str:
    name, *shapes = key if isinstance(key, tuple) else (key,)
    found = " where ".join(str(tuple(shape)) for shape in shapes[:2])
    return f"{name}, {found} is expected" if len(shapes) > 1 else str(name)


def _random(folder: Path, dtype: torch.dtype, device: torch.device, seed: int) -> Any:
    config = _transformers().AutoConfig.from_pretrained(
        folder, trust_remote_code=False, local_files_only=True
    )
    own = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=own), device:
        torch.manual_seed(seed)
        return _transformers().AutoModelForCausalLM.from_config(config, dtype=dtype)


def _embeddings_and_norms(trained: Any) -> dict[str, torch.Tensor]:
    named = {name: trained.get_parameter(name) for name in kept_names(trained)}
    return {name: parameter.detach().clone() for name, parameter in named.items()}


def kept_names(model: Any) -> Iterator[str]:
    """Name the parameters of the embeddings, of the output's and of all norms."""
    output = model.get_output_embeddings()
    for place, module in model.named_modules():
        is_norm = "norm" in type(module).__name__.lower()
        if is_norm or isinstance(module, torch.nn.Embedding) or module is output:
            for name, _ in module.named_parameters(recurse=False):
                yield f"{place}.{name}"


def _require_fit(folder: Path, model: Any, tokenizer: Any, *, least: float) -> None:
    n_rows = model.get_input_embeddings().weight.shape[0]
    n_tokens = len(tokenizer)
    if n_tokens > n_rows or n_tokens < least * n_rows:
        raise ModelError(
            f"The tokenizer in {folder} has {n_tokens} tokens, and the model embeds "
            f"{n_rows}. Expected the tokenizer that the model was trained with. Copy "
            f"the right tokenizer files."
        )
