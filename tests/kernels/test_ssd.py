"""State-space duality: the chunked form against the token-by-token loop, and the loop against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from nowcast_kernels.errors import KernelInputError
from nowcast_kernels.ssd import causal_conv1d, ssd

# In float32 both forms round sums of up to some hundred products; exact agreement is asked for in float64.
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-4}


def arguments(length, *, batch=2, heads=3, head_dim=5, d_state=4, dtype=torch.float64, seed=0):
    random = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, generator=random, dtype=torch.float64)

    tensors = {
        "x": draw(batch, length, heads, head_dim),
        "dt": F.softplus(draw(batch, length, heads) - 1),
        "A": -torch.exp(draw(heads)),
        "B": draw(batch, length, d_state),
        "C": draw(batch, length, d_state),
        "D": draw(heads),
        "h0": draw(batch, heads, head_dim, d_state),
    }
    return {name: tensor.to(dtype).requires_grad_() for name, tensor in tensors.items()}


def outputs_and_gradients(given, *, chunk, backend):
    y, h = ssd(**given, chunk=chunk, backend=backend, return_state=True)
    random = torch.Generator().manual_seed(1)
    weights = [torch.randn(t.shape, generator=random, dtype=torch.float64).to(t.dtype) for t in (y, h)]
    gradients = torch.autograd.grad((y * weights[0]).sum() + (h * weights[1]).sum(), list(given.values()))
    return [y.detach(), h.detach(), *gradients]


def assert_agree(a, b, dtype) -> None:
    for got, expected in zip(a, b, strict=True):
        scale = float(expected.abs().max().clamp(min=1e-30)) if expected.numel() else 1.0
        torch.testing.assert_close(got / scale, expected / scale, rtol=0, atol=TOLERANCE[dtype])


FAST = [("chunked", torch.float64), ("chunked", torch.float32), ("numba", torch.float32)]


@pytest.mark.parametrize(("backend", "dtype"), FAST)
@pytest.mark.parametrize(("length", "chunk"), [(1, 64), (7, 3), (64, 16), (65, 16), (100, 64), (300, 64)])
def test_fast_backends_agree_with_the_loop(backend, dtype, length, chunk) -> None:
    given = arguments(length, dtype=dtype)
    fast = outputs_and_gradients(given, chunk=chunk, backend=backend)
    assert_agree(fast, outputs_and_gradients(given, chunk=chunk, backend="reference"), dtype)


@pytest.mark.parametrize(("backend", "dtype"), FAST)
@pytest.mark.parametrize(("heads", "head_dim", "d_state"), [(1, 1, 1), (4, 32, 16), (2, 17, 3), (3, 16, 20)])
def test_fast_backends_agree_with_the_loop_for_any_width(backend, dtype, heads, head_dim, d_state) -> None:
    given = arguments(70, heads=heads, head_dim=head_dim, d_state=d_state, dtype=dtype)
    fast = outputs_and_gradients(given, chunk=32, backend=backend)
    assert_agree(fast, outputs_and_gradients(given, chunk=32, backend="reference"), dtype)


def test_same_bits_for_any_number_of_threads(threads) -> None:
    given = arguments(150, dtype=torch.float32)
    answers = []
    for count in (1, 2, 5):
        threads(count)
        answers.append([t.numpy().tobytes() for t in outputs_and_gradients(given, chunk=64, backend="numba")])
    assert answers[0] == answers[1] == answers[2]


@settings(max_examples=25, deadline=None)
@given(length=st.integers(1, 70), chunk=st.integers(1, 80), seed=st.integers(0, 1000))
def test_chunk_size_is_immaterial(length, chunk, seed) -> None:
    given = {name: tensor.detach() for name, tensor in arguments(length, seed=seed).items()}
    torch.testing.assert_close(ssd(**given, chunk=chunk), ssd(**given, backend="reference"), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("backend", ["reference", "chunked"])
def test_one_head_of_one_number_is_a_geometric_sum(backend) -> None:
    """Constant input: h_t = dt b (1 + r + ... + r^(t-1)) with r = exp(dt A)."""
    length, dt, rate, b, c = 50, 0.1, -2.0, 0.7, 1.3
    ones = torch.ones(1, length, 1, dtype=torch.float64)
    given = {
        "x": ones[..., None],
        "dt": dt * ones,
        "A": torch.tensor([rate], dtype=torch.float64),
        "B": b * ones,
        "C": c * ones,
    }
    r = torch.exp(torch.tensor(dt * rate, dtype=torch.float64))
    t = torch.arange(1, length + 1, dtype=torch.float64)
    torch.testing.assert_close(ssd(**given, chunk=16, backend=backend).flatten(), c * dt * b * (1 - r**t) / (1 - r))


def test_a_sequence_in_two_pieces_is_the_whole_one() -> None:
    given = {name: tensor.detach() for name, tensor in arguments(90).items()}
    whole, last = ssd(**given, chunk=32, return_state=True)
    first, second = (
        {k: t[:, part] if k in ["x", "dt", "B", "C"] else t for k, t in given.items()}
        for part in (slice(37), slice(37, None))
    )
    y1, h1 = ssd(**first, chunk=32, return_state=True)
    y2, h2 = ssd(**(second | {"h0": h1}), chunk=32, return_state=True)
    torch.testing.assert_close(torch.cat([y1, y2], 1), whole)
    torch.testing.assert_close(h2, last)


@pytest.mark.parametrize(("backend", "dtype"), FAST)
def test_later_tokens_do_not_change_earlier_outputs(backend, dtype) -> None:
    given = {name: tensor.detach() for name, tensor in arguments(80, dtype=dtype).items()} | {"backend": backend}
    before = ssd(**given, chunk=32)
    changed = given | {"x": given["x"].clone(), "dt": given["dt"].clone()}
    changed["x"][:, 41:] = 1e6
    changed["dt"][:, 41:] = 7.0
    assert torch.equal(ssd(**changed, chunk=32)[:, :41], before[:, :41])


@pytest.mark.parametrize("backend", ["chunked", "numba"])
def test_strong_decay_over_a_long_sequence_stays_finite(backend) -> None:
    given = arguments(500, dtype=torch.float32)
    given["dt"] = (given["dt"] * 200).detach().requires_grad_()
    assert all(torch.isfinite(t).all() for t in outputs_and_gradients(given, chunk=64, backend=backend))


def test_nothing_depends_on_what_the_memory_held(monkeypatch) -> None:
    given = arguments(100, dtype=torch.float32)
    clean = outputs_and_gradients(given, chunk=64, backend="numba")
    empty = np.empty
    monkeypatch.setattr(np, "empty", lambda *args, **kwargs: np.full_like(empty(*args, **kwargs), np.nan))
    monkeypatch.setattr(np, "empty_like", lambda array: np.full(array.shape, np.nan, array.dtype))
    dirty = outputs_and_gradients(given, chunk=64, backend="numba")
    assert all(torch.equal(a, b) for a, b in zip(clean, dirty, strict=True))


def test_an_empty_sequence_keeps_its_state() -> None:
    for backend in ("reference", "chunked"):
        given = arguments(0)
        y, h = ssd(**given, backend=backend, return_state=True)
        assert y.shape == (2, 0, 3, 5)
        assert torch.equal(h, given["h0"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x": torch.zeros(2, 9, 15)}, r"x must have shape \[batch, length, heads, head_dim\], got \[2, 9, 15\]"),
        ({"dt": torch.zeros(2, 8, 3)}, r"dt must have shape \[2, 9, 3\]"),
        ({"B": torch.zeros(2, 9, 1, 4)}, r"B must have shape \[batch, length, d_state\], got \[2, 9, 1, 4\]"),
        ({"C": torch.zeros(2, 9, 4, dtype=torch.float64)}, "C is torch.float64 on cpu, x is torch.float32"),
        ({"backend": "fast"}, "unknown backend 'fast'"),
        ({"backend": "mamba-ssm"}, "needs CUDA tensors and the mamba-ssm package"),
        ({"backend": "numba", **{k: t.double() for k, t in arguments(9).items()}}, "needs float32 tensors on the CPU"),
        ({"chunk": 0}, "chunk must be at least 1"),
    ],
)
def test_refusals(changes, message) -> None:
    with pytest.raises(KernelInputError, match=message):
        ssd(**(arguments(9, dtype=torch.float32) | changes))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("channels", [6, 32])
@pytest.mark.parametrize("width", [1, 2, 4, 7])
@pytest.mark.parametrize("length", [0, 1, 3, 20])
def test_convolution_agrees_with_torch(dtype, channels, width, length) -> None:
    random = torch.Generator().manual_seed(3)
    shapes = ((2, length, channels), (channels, width), (channels,))
    leaves = [torch.randn(s, generator=random, dtype=torch.float64).to(dtype).requires_grad_() for s in shapes]
    x, weight, bias = leaves
    got = causal_conv1d(x, weight, bias)
    if length == 0:
        assert got.shape == x.shape
        return
    expected = F.conv1d(F.pad(x.mT, (width - 1, 0)), weight[:, None], bias, groups=channels).mT
    tolerance = {"rtol": 1e-4, "atol": 1e-4} if dtype == torch.float32 else {}
    torch.testing.assert_close(got, expected, **tolerance)
    for a, b in zip(*(torch.autograd.grad(y.square().sum(), leaves) for y in (got, expected)), strict=True):
        torch.testing.assert_close(a, b, **tolerance)


def test_convolution_without_bias_and_with_wrong_shapes() -> None:
    x, weight = torch.randn(1, 5, 3), torch.randn(3, 4)
    assert torch.equal(causal_conv1d(x, weight), causal_conv1d(x, weight, torch.zeros(3)))
    with pytest.raises(KernelInputError, match="weight"):
        causal_conv1d(x, torch.randn(4, 3))
