"""Sixteen float32 numbers at once inside numba functions.

LLVM vectorises loops of unknown length well only when they are long; the rows of a Gaussian hold about ten voxels.
These intrinsics give numba functions a value of LLVM's type ``<16 x float>``, which the compiler maps to what the
machine has: one AVX-512 register, two of AVX2, four of NEON. Arithmetic marked ``contract`` becomes fused
multiply-add where there is one. Only plain instructions are used, no target intrinsics.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, models, register_model

LANES = 16

_I32 = ir.IntType(32)
_VECTOR = ir.VectorType(ir.FloatType(), LANES)
_LANE_NUMBERS = ir.Constant(ir.VectorType(_I32, LANES), list(range(LANES)))


class Float32x16(types.Type):  # type: ignore[misc]
    """Numba's type of a vector; lives only inside compiled functions."""

    def __init__(self) -> None:
        super().__init__(name="Float32x16")


vector = Float32x16()


@register_model(Float32x16)
class _Model(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, dmm: Any, fe_type: Any) -> None:
        super().__init__(dmm, fe_type, _VECTOR)


def _splat(builder: Any, scalar: Any) -> Any:
    """Vector with the same scalar (float or int32) in every lane."""
    kind = ir.VectorType(scalar.type, LANES)
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), scalar, ir.Constant(_I32, 0))
    return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(_I32, LANES), [0] * LANES))


@intrinsic
def splat(typingctx, scalar):  # type: ignore[no-untyped-def]
    """Vector of sixteen times a float32."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return _splat(builder, args[0])

    return vector(types.float32), codegen


@intrinsic
def lane_numbers(typingctx):  # type: ignore[no-untyped-def]
    """The vector 0, 1 ... 15."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return ir.Constant(_VECTOR, [float(lane) for lane in range(LANES)])

    return vector(), codegen


@intrinsic
def add(typingctx, a, b):  # type: ignore[no-untyped-def]
    """The vector a + b."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return builder.fadd(*args)

    return vector(vector, vector), codegen


@intrinsic
def mul(typingctx, a, b):  # type: ignore[no-untyped-def]
    """The vector a * b."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return builder.fmul(*args)

    return vector(vector, vector), codegen


@intrinsic
def mul_add(typingctx, a, b, c):  # type: ignore[no-untyped-def]
    """The vector a * b + c, rounded once where the machine can."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        product = builder.fmul(args[0], args[1], flags=("contract",))
        return builder.fadd(product, args[2], flags=("contract",))

    return vector(vector, vector, vector), codegen


@intrinsic
def keep(typingctx, a, first, count):  # type: ignore[no-untyped-def]
    """The vector a with zeros outside lanes first ... first + count - 1, whatever stood there."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        first, count = (_splat(builder, builder.trunc(arg, _I32)) for arg in args[1:])
        inside = builder.icmp_unsigned("<", builder.sub(_LANE_NUMBERS, first), count)
        return builder.select(inside, args[0], ir.Constant(_VECTOR, [0.0] * LANES))

    return vector(vector, types.int64, types.int64), codegen


@intrinsic
def total(typingctx, a):  # type: ignore[no-untyped-def]
    """Sum of the lanes, halves folded onto each other: a fixed order, so the same bits every time."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        folded, width = args[0], LANES
        while width > 1:
            width //= 2
            low, high = (
                builder.shuffle_vector(
                    folded, folded, ir.Constant(ir.VectorType(_I32, width), list(range(at, at + width)))
                )
                for at in (0, width)
            )
            folded = builder.fadd(low, high)
        return builder.extract_element(folded, ir.Constant(_I32, 0))

    return types.float32(vector), codegen


def _address(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), _VECTOR.as_pointer())


@intrinsic
def load(typingctx, array, index):  # type: ignore[no-untyped-def]
    """Sixteen numbers of a flat contiguous float32 array from index on; the caller minds the end."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return builder.load(_address(context, builder, signature.args[0], *args), align=4)

    return vector(array, types.int64), codegen


@intrinsic
def store(typingctx, array, index, value):  # type: ignore[no-untyped-def]
    """Write sixteen numbers to a flat contiguous float32 array from index on; the caller minds the end."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        address = _address(context, builder, signature.args[0], *args[:2])
        builder.store(args[2], address, align=4)
        return context.get_dummy_value()

    return types.void(array, types.int64, vector), codegen
