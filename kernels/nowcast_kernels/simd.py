"""Sixteen numbers at once inside numba functions.

LLVM vectorises loops well when they are long; the rows of a Gaussian hold about ten voxels. These intrinsics give
numba functions values of LLVM's types ``<16 x float>``, ``<16 x double>`` and ``<16 x i32>``, which the compiler maps
to what the machine has: AVX-512, AVX2 or NEON registers, as many as it takes. A multiply-add is fused where the machine
can. Only generic LLVM instructions are used, none of one processor.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

from nowcast_kernels.jit import kernel

LANES = 16

_I32 = ir.IntType(32)
_LLVM_SCALARS = {types.float32: ir.FloatType(), types.float64: ir.DoubleType(), types.int32: _I32}
_LANE_NUMBERS = ir.Constant(ir.VectorType(_I32, LANES), list(range(LANES)))


class Vector(types.Type):
    """Numba's type of sixteen float32, float64 or int32; lives only inside compiled functions."""

    def __init__(self, scalar: Any) -> None:
        self.scalar = scalar
        super().__init__(name=f"Vector({scalar})")

    @property
    def llvm(self) -> Any:
        """The LLVM type."""
        return ir.VectorType(_LLVM_SCALARS[self.scalar], LANES)


@register_model(Vector)
class _Model(models.PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: Any) -> None:
        super().__init__(dmm, fe_type, fe_type.llvm)


def _lowered(implementation: Callable[..., Any]) -> Any:
    """An operation for numba functions from its typing function; Any, because its call drops the first argument."""
    return intrinsic(implementation)


def _splat(builder: Any, scalar: Any) -> Any:
    """LLVM vector with the same LLVM scalar in every lane."""
    kind = ir.VectorType(scalar.type, LANES)
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), scalar, ir.Constant(_I32, 0))
    return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(_I32, LANES), [0] * LANES))


def _call(name: str) -> Callable[[Any, Any], Any]:
    """Builds a call of an LLVM intrinsic of one vector of floats."""

    def build(builder: Any, value: Any) -> Any:
        suffix = {"float": "f32", "double": "f64"}[str(value.type.element)]
        kind = ir.FunctionType(value.type, [value.type])
        function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}.v{LANES}{suffix}")
        return builder.call(function, [value])

    return build


def _is_float(value: Any) -> bool:
    return not isinstance(value.type.element, ir.IntType)


def _build_add(builder: Any, a: Any, b: Any) -> Any:
    return builder.fadd(a, b) if _is_float(a) else builder.add(a, b)


def _build_sub(builder: Any, a: Any, b: Any) -> Any:
    return builder.fsub(a, b) if _is_float(a) else builder.sub(a, b)


def _build_mul(builder: Any, a: Any, b: Any) -> Any:
    return builder.fmul(a, b) if _is_float(a) else builder.mul(a, b)


def _build_mul_add(builder: Any, a: Any, b: Any, c: Any) -> Any:
    return builder.fadd(builder.fmul(a, b, flags=("contract",)), c, flags=("contract",))


def _build_maximum(builder: Any, a: Any, b: Any) -> Any:
    greater = builder.fcmp_ordered(">", a, b) if _is_float(a) else builder.icmp_signed(">", a, b)
    return builder.select(greater, a, b)


def _build_minimum(builder: Any, a: Any, b: Any) -> Any:
    smaller = builder.fcmp_ordered("<", a, b) if _is_float(a) else builder.icmp_signed("<", a, b)
    return builder.select(smaller, a, b)


def _unary(build: Callable[[Any, Any], Any], doc: str) -> Any:
    def operation(typingctx, a):  # type: ignore[no-untyped-def]
        return a(a), lambda context, builder, signature, args: build(builder, *args)

    operation.__doc__ = doc
    return _lowered(operation)


def _binary(build: Callable[[Any, Any, Any], Any], doc: str) -> Any:
    def operation(typingctx, a, b):  # type: ignore[no-untyped-def]
        return (a(a, b), lambda context, builder, signature, args: build(builder, *args)) if a == b else None

    operation.__doc__ = doc
    return _lowered(operation)


square_root = _unary(_call("sqrt"), "Vector of square roots.")
floor = _unary(_call("floor"), "Vector of the largest whole numbers not above.")
ceil = _unary(_call("ceil"), "Vector of the smallest whole numbers not below.")
add = _binary(_build_add, "The vector a + b.")
sub = _binary(_build_sub, "The vector a - b.")
mul = _binary(_build_mul, "The vector a * b.")
maximum = _binary(_build_maximum, "The larger of two vectors, lane by lane.")
minimum = _binary(_build_minimum, "The smaller of two vectors, lane by lane.")


@_lowered
def mul_add(typingctx, a, b, c):  # type: ignore[no-untyped-def]
    """The vector a * b + c of floats, rounded once where the machine can."""
    return a(a, b, c), lambda context, builder, signature, args: _build_mul_add(builder, *args)


@_lowered
def splat(typingctx, scalar):  # type: ignore[no-untyped-def]
    """Vector of sixteen times a float32, float64 or int32."""
    return Vector(scalar)(scalar), lambda context, builder, signature, args: _splat(builder, args[0])


@_lowered
def lane_numbers(typingctx):  # type: ignore[no-untyped-def]
    """The int32 vector 0, 1 ... 15."""
    return Vector(types.int32)(), lambda context, builder, signature, args: _LANE_NUMBERS


@_lowered
def to_int32(typingctx, a):  # type: ignore[no-untyped-def]
    """Vector of int32 from floats, towards zero."""
    kind = Vector(types.int32)
    return kind(a), lambda context, builder, signature, args: builder.fptosi(args[0], kind.llvm)


@_lowered
def to_float32(typingctx, a):  # type: ignore[no-untyped-def]
    """Vector of float32 from float64 or int32."""
    kind = Vector(types.float32)

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        convert = builder.fptrunc if _is_float(args[0]) else builder.sitofp
        return convert(args[0], kind.llvm)

    return kind(a), codegen


@_lowered
def to_float64(typingctx, a):  # type: ignore[no-untyped-def]
    """Vector of float64 from int32."""
    kind = Vector(types.float64)
    return kind(a), lambda context, builder, signature, args: builder.sitofp(args[0], kind.llvm)


@_lowered
def keep(typingctx, a, first, count):  # type: ignore[no-untyped-def]
    """The vector a with zeros outside lanes first ... first + count - 1, whatever stood there."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        first, count = (_splat(builder, builder.trunc(arg, _I32)) for arg in args[1:])
        inside = builder.icmp_unsigned("<", builder.sub(_LANE_NUMBERS, first), count)
        return builder.select(inside, args[0], ir.Constant(args[0].type, [0.0] * LANES))

    return a(a, types.int64, types.int64), codegen


@_lowered
def total(typingctx, a):  # type: ignore[no-untyped-def]
    """Sum of the lanes, halves folded onto each other: a fixed order, so the same bits every time."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        folded, width = args[0], LANES
        while width > 1:
            width //= 2
            halves = (
                ir.Constant(ir.VectorType(_I32, width), list(range(first, first + width))) for first in (0, width)
            )
            folded = builder.fadd(*(builder.shuffle_vector(folded, folded, half) for half in halves))
        return builder.extract_element(folded, ir.Constant(_I32, 0))

    return a.scalar(a), codegen


def _address(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), Vector(array_type.dtype).llvm.as_pointer())


@_lowered
def load(typingctx, array, index):  # type: ignore[no-untyped-def]
    """Sixteen numbers of a contiguous array from a flat index on; the caller minds the end."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return builder.load(_address(context, builder, signature.args[0], *args), align=4)

    return Vector(array.dtype)(array, types.int64), codegen


@_lowered
def store(typingctx, array, index, value):  # type: ignore[no-untyped-def]
    """Write sixteen numbers to a contiguous array from a flat index on; the caller minds the end."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        builder.store(args[2], _address(context, builder, signature.args[0], *args[:2]), align=4)
        return context.get_dummy_value()

    return types.void(array, types.int64, value), codegen


@_lowered
def prefetch(typingctx, array, index):  # type: ignore[no-untyped-def]
    """Ask for the memory around an element, which is soon to be read."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        pointer = _address(context, builder, signature.args[0], *args)
        kind = ir.FunctionType(ir.VoidType(), [pointer.type, _I32, _I32, _I32])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        read, keep_close, data = (ir.Constant(_I32, number) for number in (0, 3, 1))
        builder.call(function, [pointer, read, keep_close, data])
        return context.get_dummy_value()

    return types.void(array, types.int64), codegen


@kernel
def scratch(n):  # type: ignore[no-untyped-def]
    """Uninitialised float32 array [n] that begins where a vector register does: no load or store is split in two."""
    raw = np.empty(n + LANES, dtype=np.float32)
    first = -raw.ctypes.data % (4 * LANES) // 4
    return raw[first : first + n]
