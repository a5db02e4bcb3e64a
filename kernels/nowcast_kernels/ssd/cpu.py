"""The state-space recurrence token by token on the CPU: numba kernels with sixteen channels at a time.

A head's state is small enough for the first cache, so that running through the tokens costs less than the matrix
products of the chunked form, in one pass over the arrays. The backward pass keeps the state before every SPAN-th token
and makes those between again when it comes to them. Each thread takes whole (batch, head) pairs: the bits do not depend
on their number. ``kernels/README.md`` has the gradients.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nowcast_kernels.jit import inlined, kernel
from nowcast_kernels.parallel import run_parallel
from nowcast_kernels.simd import LANES, load, mul, mul_add, scratch, splat, store, total

SPAN = 64  # tokens between kept states

Floats = NDArray[np.float32]


def scan(x: Floats, dt: Floats, A: Floats, B: Floats, C: Floats, D: Floats, h0: Floats) -> tuple[Floats, Floats]:
    """Output [batch, length, heads, head_dim] and last state [batch, heads, d_state, head_dim].

    Contiguous arrays as in `api.ssd`, with head_dim a multiple of sixteen and the state's last two axes swapped.
    """
    y, last = np.empty_like(x), h0.copy()
    heads = x.shape[2]

    def work(item: int) -> None:
        _scan_head(x, dt, A, B, C, D, last, y, item // heads, item % heads)

    run_parallel(work, x.shape[0] * heads)
    return y, last


def scan_back(
    x: Floats, dt: Floats, A: Floats, B: Floats, C: Floats, D: Floats, h0: Floats, g_y: Floats, g_last: Floats
) -> tuple[Floats, ...]:
    """Gradients of x, dt, A, B, C, D and h0 from those of the output and of the last state."""
    batch, length, heads, _ = x.shape
    d_state = B.shape[2]
    g_x, g_dt, g_h0 = np.empty_like(x), np.empty_like(dt), g_last.copy()
    # What the heads or the batch share is summed below, so that no two threads write to one place.
    g_B, g_C = (np.empty((heads, batch, length, d_state), dtype=np.float32) for _ in range(2))
    g_A, g_D = (np.empty((batch, heads)) for _ in range(2))

    def work(item: int) -> None:
        _scan_head_back(x, dt, A, B, C, D, h0, g_y, g_h0, g_x, g_dt, g_A, g_B, g_C, g_D, item // heads, item % heads)

    run_parallel(work, batch * heads)
    g_A, g_D = (g.sum(axis=0).astype(np.float32) for g in (g_A, g_D))
    return g_x, g_dt, g_A, g_B.sum(axis=0), g_C.sum(axis=0), g_D, g_h0


@kernel
def _scan_head(x, dt, A, B, C, D, state, y, b, head):  # type: ignore[no-untyped-def]
    """Run one head of one batch element, changing its state [d_state, head_dim] in place."""
    _, length, heads, head_dim = x.shape
    d_state = B.shape[2]
    h = scratch(d_state * head_dim)
    h[:] = state[b, head].ravel()
    for t in range(length):
        step = dt[b, t, head]
        decay = splat(np.exp(step * A[head]))
        here = ((b * length + t) * heads + head) * head_dim
        for p in range(0, head_dim, LANES):
            x_t = load(x, here + p)
            u = mul(splat(step), x_t)
            y_t = mul(splat(D[head]), x_t)
            for n in range(d_state):
                h_n = mul_add(decay, load(h, n * head_dim + p), mul(splat(B[b, t, n]), u))
                store(h, n * head_dim + p, h_n)
                y_t = mul_add(splat(C[b, t, n]), h_n, y_t)
            store(y, here + p, y_t)
    state[b, head] = h.reshape((d_state, head_dim))


@inlined
def _run_states(x, dt, A, B, states, first, count, b, head):  # type: ignore[no-untyped-def]
    """Fill states[1 ... count] from states[0], the state before token first."""
    _, length, heads, head_dim = x.shape
    d_state = B.shape[2]
    size = d_state * head_dim
    for k in range(count):
        t = first + k
        step = dt[b, t, head]
        decay = splat(np.exp(step * A[head]))
        for p in range(0, head_dim, LANES):
            u = mul(splat(step), load(x, ((b * length + t) * heads + head) * head_dim + p))
            for n in range(d_state):
                at = k * size + n * head_dim + p
                store(states, at + size, mul_add(decay, load(states, at), mul(splat(B[b, t, n]), u)))


@kernel
def _scan_head_back(  # type: ignore[no-untyped-def]
    x, dt, A, B, C, D, h0, g_y, g_h, g_x, g_dt, g_A, g_B, g_C, g_D, b, head
):
    """Gradients of one head of one batch element; g_h holds that of its last state and becomes that of its first."""
    _, length, heads, head_dim = x.shape
    d_state = B.shape[2]
    size = d_state * head_dim
    spans = (length + SPAN - 1) // SPAN
    kept, states = scratch(spans * size), scratch((SPAN + 1) * size)
    states[:size] = h0[b, head].ravel()
    for s in range(spans):
        kept[s * size : (s + 1) * size] = states[:size]
        count = min(SPAN, length - s * SPAN)
        _run_states(x, dt, A, B, states, s * SPAN, count, b, head)
        states[:size] = states[count * size : (count + 1) * size]
    g, by_state = scratch(size), scratch(2 * d_state * LANES)  # the latter: lane sums of the gradients of B and C
    g[:] = g_h[b, head].ravel()
    zero = splat(np.float32(0.0))
    sum_A = sum_D = 0.0
    for s in range(spans - 1, -1, -1):
        count = min(SPAN, length - s * SPAN)
        states[:size] = kept[s * size : (s + 1) * size]
        _run_states(x, dt, A, B, states, s * SPAN, count, b, head)
        for k in range(count - 1, -1, -1):
            t = s * SPAN + k
            step = dt[b, t, head]
            decay = np.exp(step * A[head])
            here = ((b * length + t) * heads + head) * head_dim
            by_state[:] = 0.0
            g_decay, g_step, g_skip = zero, zero, zero
            for p in range(0, head_dim, LANES):
                x_t, g_t = load(x, here + p), load(g_y, here + p)
                u, g_u = mul(splat(step), x_t), zero
                for n in range(d_state):
                    at = n * head_dim + p
                    g_n = mul_add(splat(C[b, t, n]), g_t, load(g, at))
                    store(by_state, n * LANES, mul_add(g_n, u, load(by_state, n * LANES)))
                    c_sum = load(by_state, (d_state + n) * LANES)
                    store(by_state, (d_state + n) * LANES, mul_add(load(states, (k + 1) * size + at), g_t, c_sum))
                    g_decay = mul_add(g_n, load(states, k * size + at), g_decay)
                    g_u = mul_add(splat(B[b, t, n]), g_n, g_u)
                    store(g, at, mul(splat(decay), g_n))
                store(g_x, here + p, mul_add(splat(step), g_u, mul(splat(D[head]), g_t)))
                g_step = mul_add(g_u, x_t, g_step)
                g_skip = mul_add(g_t, x_t, g_skip)
            from_decay = total(g_decay) * decay
            g_dt[b, t, head] = total(g_step) + from_decay * A[head]
            sum_A += from_decay * step
            sum_D += total(g_skip)
            for n in range(d_state):
                g_B[head, b, t, n] = total(load(by_state, n * LANES))
                g_C[head, b, t, n] = total(load(by_state, (d_state + n) * LANES))
    g_h[b, head] = g.reshape((d_state, head_dim))
    g_A[b, head], g_D[b, head] = sum_A, sum_D
