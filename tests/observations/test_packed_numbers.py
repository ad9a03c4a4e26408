"""Ids and codes are read back as they were packed."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from probes.observations.packed_numbers import (
    LARGEST_CODE,
    STEP,
    pack_codes,
    pack_ids,
    unpack_codes,
    unpack_ids,
)


@given(st.sets(st.integers(0, 300_000), max_size=60))
def test_ids_are_read_back(ids: set[int]) -> None:
    wanted = np.array(sorted(ids), dtype=np.int64)
    width = len(wanted) + max(ids, default=0) // STEP
    packed = pack_ids(wanted, width + 7)
    assert packed.dtype == np.uint8
    np.testing.assert_array_equal(unpack_ids(packed), wanted)
    np.testing.assert_array_equal(unpack_ids(pack_ids(wanted, width)), wanted)


@given(st.lists(st.integers(0, LARGEST_CODE), max_size=20))
def test_codes_are_read_back(codes: list[int]) -> None:
    packed = pack_codes(np.array(codes, dtype=np.int64))
    assert len(packed) == 3 * ((len(codes) + 1) // 2)
    np.testing.assert_array_equal(unpack_codes(packed, len(codes)), codes)
