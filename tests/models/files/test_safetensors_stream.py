"""A file that is written tensor by tensor is one that the library reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from probes.models.files.safetensors_headers import read_header
from probes.models.files.safetensors_stream import TensorPlan, write_tensors


def test_the_library_reads_what_was_written(tmp_path: Path) -> None:
    rng, path = np.random.default_rng(0), tmp_path / "any.safetensors"
    whole = rng.normal(size=(3, 4)).astype(np.float32)
    half = rng.normal(size=(5,)).astype(np.float16)
    brain = torch.randn(2, 3).bfloat16()
    plans = {
        "turned": TensorPlan(dtype="F32", shape=(4, 3)),
        "half": TensorPlan(dtype="F16", shape=(5,)),
        "brain": TensorPlan(dtype="BF16", shape=(2, 3)),
    }
    bits = brain.view(torch.int16).numpy().view(np.uint16)
    write_tensors(path, plans, [whole.T, half, bits])
    read = load_file(path)
    assert torch.equal(read["turned"], torch.from_numpy(whole.T))
    assert torch.equal(read["half"], torch.from_numpy(half))
    assert torch.equal(read["brain"], brain)
    assert [*read_header(path)] == [*plans]


def test_a_tensor_is_made_after_the_one_before_is_written(tmp_path: Path) -> None:
    path = tmp_path / "any.safetensors"
    sizes = []

    def tensors() -> Iterator[np.ndarray]:
        for _ in range(3):
            sizes.append(path.stat().st_size)
            yield np.zeros(1 << 16, np.float32)

    plan = TensorPlan(dtype="F32", shape=(1 << 16,))
    write_tensors(path, {name: plan for name in "abc"}, tensors())
    assert sizes[2] > sizes[1] > sizes[0]
