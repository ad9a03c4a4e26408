"""Convert a GGUF file into a folder of safetensors, once and bit by bit.

The weights are de-quantised to float32, which is what the model under test computes
with; float16 and bfloat16 stay as they are. One tensor at a time is held in memory.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from probes.cards import Checkpoint
from probes.errors import ModelError
from probes.models.files.converted_models import (
    converted_folder,
    explained_disk_errors,
    is_converted,
    locked_conversion,
)
from probes.models.files.fingerprint import file_hash
from probes.models.files.gguf_header import (
    GGUFHeader,
    GGUFTensor,
    gguf_library,
    read_gguf_header,
)
from probes.models.files.gguf_layout import (
    LAYOUTS,
    Numbers,
    as_in_library,
    require_known_architecture,
    require_same_configuration,
)
from probes.models.files.gguf_tokenizer import write_tokenizer
from probes.models.files.safetensors_headers import SUMS
from probes.models.files.safetensors_stream import TensorPlan, write_tensors
from probes.models.files.untrusted_config import read_json_object
from probes.models.quiet_transformers import quiet_transformers

KEPT: dict[str, Any] = {"F16": np.float16, "BF16": np.uint16}
"""What is not de-quantised. NumPy has no bfloat16; its bits are handed on."""
PIECE = 1 << 22
"""Numbers that are de-quantised at a time."""
ORIGIN = "gguf.json"
"""The file of a converted folder that says what it was converted from."""


def converted_checkpoint(path: Path) -> Checkpoint:
    """Convert a GGUF file, unless the same content has been converted before.

    Raises:
        ModelError: There is no such file, it cannot be converted, or the disk is full.
    """
    if not os.path.isfile(path):
        raise ModelError(
            f"There is no file {str(path)!r}. Expected a GGUF file. Check the path."
        )
    path = path.resolve()
    status = path.stat()
    sha256 = file_hash(path, status.st_size, status.st_mtime_ns)
    if not is_converted(sha256):
        header = read_gguf_header(path)
        require_known_architecture(header)
        with locked_conversion(sha256) as unfinished:
            if not is_converted(sha256):  # another process may have been first
                place_converted(header, sha256, unfinished)
    folder = converted_folder(sha256)
    stored = str(read_json_object(folder / ORIGIN)["quantisation"])
    return Checkpoint(location=str(folder), quantisation=stored)


def place_converted(header: GGUFHeader, sha256: str, unfinished: Path) -> None:
    """Convert a file whose place is locked; whatever fails, no half of it stays.

    Args:
        header: The file's.
        sha256: Hash of its content.
        unfinished: A folder of the same disk, emptied before and removed afterwards.

    Raises:
        ModelError: The file cannot be converted, or the disk is full.
    """
    folder = converted_folder(sha256)
    with explained_disk_errors(f"{header.path}, converted,"):
        try:
            shutil.rmtree(unfinished, ignore_errors=True)  # of a process that died
            unfinished.mkdir()
            _convert(header, unfinished)
            origin = {"sha256": sha256, "quantisation": header.quantisation}
            (unfinished / ORIGIN).write_text(json.dumps(origin) + "\n", "utf-8")
            _write_sums(unfinished)
            unfinished.rename(folder)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)


def _convert(header: GGUFHeader, folder: Path) -> None:
    """Write the configuration, the tokenizer and the weights of a file."""
    alone = folder / "source"  # files beside the original must not be read
    alone.mkdir()
    source = alone / "model.gguf"
    source.symlink_to(header.path)
    config, shapes = _library_model(header, source)
    stored = _matched(header, config, shapes)
    plans = {
        name: TensorPlan(
            dtype=tensor.kind if _is_kept(tensor) else "F32", shape=tensor.shape
        )
        for name, tensor in stored.items()
    }
    n_bytes, free = sum(p.n_bytes for p in plans.values()), shutil.disk_usage(folder)
    if free.free < n_bytes:
        raise OSError(f"{n_bytes} bytes are needed, and {free.free} are free")
    write_tokenizer(header, config, source, folder)
    config.save_pretrained(folder)
    numbers = _numbers(header, stored.values(), config.to_dict())
    write_tensors(folder / "model.safetensors", plans, numbers)
    shutil.rmtree(alone)


def _library_model(
    header: GGUFHeader, source: Path
) -> tuple[Any, dict[str, tuple[int, ...]]]:
    """Build the library's configuration, and the names and shapes of its tensors."""
    import torch

    library = quiet_transformers()
    try:
        config = library.AutoConfig.from_pretrained(
            source.parent,
            gguf_file=source.name,
            trust_remote_code=False,
            local_files_only=True,
        )
        with torch.device("meta"):
            model = library.AutoModelForCausalLM.from_config(config)
    except Exception as error:  # transformers raises many kinds
        raise ModelError(
            f"{header.path} has a configuration that cannot be used: "
            f"{str(error)[:300]} Expected one that transformers reads from GGUF files. "
            f"Pass the same model as a folder of safetensors."
        ) from error
    require_same_configuration(header, config.to_dict())
    config.architectures = [type(model).__name__]
    shapes = {name: tuple(t.shape) for name, t in model.state_dict().items()}
    if config.tie_word_embeddings:
        shapes.pop("lm_head.weight", None)
    return config, shapes


def _matched(
    header: GGUFHeader, config: Any, shapes: dict[str, tuple[int, ...]]
) -> dict[str, GGUFTensor]:
    """Find the file's tensor for each of the library's.

    Raises:
        ModelError: A tensor is missing, left over, or of another shape.
    """
    gguf = gguf_library()
    architectures = {name: key for key, name in gguf.MODEL_ARCH_NAMES.items()}
    names = gguf.get_tensor_name_map(
        architectures[header.architecture], config.num_hidden_layers
    )
    stored = {}
    for name, shape in shapes.items():
        stem, _, part = name.rpartition(".")
        tensor = header.tensors.get(f"{names.get_name(stem)}.{part}")
        if tensor is None or tensor.shape != shape:
            held = "no such tensor" if tensor is None else f"the shape {tensor.shape}"
            raise ModelError(
                f"{header.path} has {held} for {name}. Expected the shape {shape}, as "
                f"its metadata says. Fetch the file again."
            )
        stored[name] = tensor
    left_over = header.tensors.keys() - {tensor.name for tensor in stored.values()}
    if left_over:
        raise ModelError(
            f"{header.path} has {len(left_over)} tensors that the conversion would "
            f"leave out, among them {min(left_over)[:60]}. Expected those of a "
            f"{header.architecture} only. Pass the same model as a folder of "
            f"safetensors."
        )
    return stored


def _numbers(
    header: GGUFHeader, tensors: Any, config: dict[str, Any]
) -> Iterator[Numbers]:
    """Read, de-quantise and put in order one tensor after the other."""
    layout = LAYOUTS[header.architecture]
    for tensor in tensors:
        raw = np.memmap(
            header.path, np.uint8, "r", offset=tensor.start, shape=(tensor.n_bytes,)
        )
        rows = raw.reshape(*tensor.shape[:-1], -1)
        if _is_kept(tensor):
            read = rows.view(KEPT[tensor.kind])
        else:
            read = _dequantised(header, tensor, rows)
        yield as_in_library(tensor.name, read, layout, config)


def _is_kept(tensor: GGUFTensor) -> bool:
    """Say whether a tensor stays as it is; norms, which may change, become float32."""
    return tensor.kind in KEPT and len(tensor.shape) > 1


def _dequantised(header: GGUFHeader, tensor: GGUFTensor, rows: Numbers) -> Numbers:
    """De-quantise a tensor some rows at a time, without a second copy of it."""
    gguf, read = gguf_library(), np.empty(tensor.shape, np.float32)
    step = max(1, PIECE * len(rows) // max(1, read.size))
    try:
        for start in range(0, len(rows), step):
            read[start : start + step] = gguf.dequantize(
                rows[start : start + step], gguf.GGMLQuantizationType[tensor.kind]
            )
    except NotImplementedError as error:
        raise ModelError(
            f"{header.path} stores {tensor.name[:60]} as {tensor.kind}, which the "
            f"package gguf cannot de-quantise. Expected another way of storing it. "
            f"Install a newer gguf, or pass the model as a folder of safetensors."
        ) from error
    return read


def _write_sums(folder: Path) -> None:
    """List the hashes of a folder's files, so that later damage is noticed."""
    lines = []
    for path in sorted(folder.iterdir()):
        digest = file_hash(path, path.stat().st_size, path.stat().st_mtime_ns)
        lines.append(f"{digest}  {path.name}\n")
    (folder / SUMS).write_text("".join(lines), "utf-8")
