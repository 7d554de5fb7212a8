"""Numbers of tensors from every field that may hold them, against ONNX's own reading."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from dlc.importers.elements import ELEMENTS, element_of, from_storage, to_storage
from dlc.importers.files import ExternalData
from dlc.importers.limits import Budget, Limits
from dlc.importers.parsing import Parser
from dlc.importers.refusal import Refusal
from dlc.importers.tensor_data import Decoder


def decode(proto: Any) -> Any:
    limits = Limits()
    data = Parser(Budget(limits)).tensor(memoryview(proto.SerializeToString()))
    element, numbers = Decoder(ExternalData(None, limits), limits).tensor(data)
    assert element.code == proto.data_type and not numbers.flags.writeable
    return from_storage(numbers, element)


def values(code: int) -> Any:
    """Numbers that the type holds, an odd count of them, its extremes among them."""
    dtype = helper.tensor_dtype_to_np_dtype(code)
    raw = np.array([0, 1, -1, 2, -2, 1.5, -0.5, 3, -4]).reshape(3, 3)
    if dtype == np.uint64:
        return np.array([0, 1, 1 << 63, (1 << 64) - 1, 2, 3, 4, 5, 6], np.uint64).reshape(3, 3)
    if np.issubdtype(dtype, np.integer):
        info = np.iinfo(dtype)
        raw = np.array([info.min, info.max, 0, 1, 2, info.max // 2, 3, 4, 5]).reshape(3, 3)
    e = element_of(code)
    if e.is_int and e.bits < 8:
        low, high = e.range
        raw = np.clip(np.arange(-4, 5), low, high).reshape(3, 3)
    return raw.astype(dtype)


@pytest.mark.parametrize("code", ELEMENTS, ids=[e.name for e in ELEMENTS.values()])
@pytest.mark.parametrize("raw", [True, False], ids=["raw", "typed"])
def test_each_element_type(code: int, raw: bool) -> None:
    x = values(code)
    if raw:
        proto = numpy_helper.from_array(x, "t")
    else:
        if ELEMENTS[code].mini is not None and ELEMENTS[code].bits == 8:
            x = x.astype(np.float32)
        proto = helper.make_tensor("t", code, x.shape, x.flatten().tolist())
    np.testing.assert_array_equal(
        decode(proto).astype(np.float64), numpy_helper.to_array(proto).astype(np.float64)
    )


@pytest.mark.parametrize("code", ELEMENTS, ids=[e.name for e in ELEMENTS.values()])
def test_storage_and_back(code: int) -> None:
    x, e = values(code), element_of(code)
    stored = to_storage(x, e)
    assert stored.dtype == e.storage.numpy
    back = from_storage(stored, e)
    assert back.dtype == x.dtype
    np.testing.assert_array_equal(back.astype(np.float64), x.astype(np.float64))


def test_numbers_one_by_one_and_packed() -> None:
    """Fields of numbers may be packed or not; both say the same."""
    packed = helper.make_tensor("t", TensorProto.INT64, [3], [1, -2, 1 << 40])
    single = b"\x08\x03\x10\x07" + b"".join(
        b"\x38" + _varint(n & (1 << 64) - 1) for n in (1, -2, 1 << 40)
    )
    data = Parser(Budget(Limits())).tensor(memoryview(single))
    assert data.whole["int64_data"].tolist() == [1, -2, 1 << 40] == decode(packed).tolist()


def _varint(n: int) -> bytes:
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    return bytes([*out, n])


def test_bits_after_the_last_element() -> None:
    proto = TensorProto(name="t", data_type=TensorProto.INT4, dims=[1], raw_data=b"\xf1")
    with pytest.raises(Refusal) as caught:
        decode(proto)
    assert caught.value.found.code == "E0704"


@pytest.mark.parametrize("number", [-1, 256, 1 << 33])
def test_a_number_that_the_type_does_not_hold(number: int) -> None:
    proto = TensorProto(name="t", data_type=TensorProto.UINT8, dims=[1])
    proto.int32_data.append(number if abs(number) < 1 << 31 else (1 << 31) - 1)
    with pytest.raises(Refusal) as caught:
        decode(proto)
    assert caught.value.found.code == "E0704"
