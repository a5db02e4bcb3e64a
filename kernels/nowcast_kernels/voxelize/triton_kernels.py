"""The voxelizer's Triton kernels: rendering and its derivative by tile, and sums for the gradients by Gaussian.

q is float64, so that the cut falls at the same voxels as everywhere; the exponential and the sums are float32. Every
program writes what no other writes and adds in the order of its list: same inputs, same bits.
"""

from __future__ import annotations

import triton
import triton.language as tl

INTERPRETED = triton.knobs.runtime.interpret  # decided when triton is imported: kernels then run in numpy on the CPU


@triton.jit
def voxels_of(tile, n_ty, n_tx, TZ: tl.constexpr, TY: tl.constexpr, TX: tl.constexpr):  # type: ignore[no-untyped-def]
    """z and y [TZ * TY] of a tile's rows, x [TX] of the voxels of a row."""
    row = tl.arange(0, TZ * TY)
    z = tile // (n_ty * n_tx) * TZ + row // TY
    y = tile // n_tx % n_ty * TY + row % TY
    return z, y, tile % n_tx * TX + tl.arange(0, TX)


@triton.jit
def whitened(table, gaussian, z, y, x):  # type: ignore[no-untyped-def]
    """ex [rows, TX], ey and ez [rows, 1] of one Gaussian at a tile's voxels, and its weight there."""
    t = table + gaussian.to(tl.int64) * 9
    dz, dy, dx = z.to(tl.float64) - tl.load(t), y.to(tl.float64) - tl.load(t + 1), x.to(tl.float64) - tl.load(t + 2)
    ez = tl.load(t + 3) * dz
    ey = tl.load(t + 4) * dy + tl.load(t + 5) * dz
    ex = tl.load(t + 6) * dx[None, :] + (tl.load(t + 7) * dy + tl.load(t + 8) * dz)[:, None]
    q = ex * ex + (ey * ey + ez * ez)[:, None]
    # reference.CUT, written so that a constant rounded to float32 decides the same.
    within = q - 9.0 <= 9e-9
    weight = tl.where(within, tl.exp(-0.5 * q.to(tl.float32)), 0.0)
    # Beyond the cut ex may not fit float32, and infinity times a weight of 0 is no number.
    ex = tl.where(within, ex, 0.0).to(tl.float32)
    ey = tl.where(tl.abs(ey) < 4.0, ey, 0.0).to(tl.float32)
    ez = tl.where(tl.abs(ez) < 4.0, ez, 0.0).to(tl.float32)
    return ex, ey[:, None], ez[:, None], weight


@triton.jit
def places_of(z, y, x, c, nz, ny, nx, n_channels):  # type: ignore[no-untyped-def]
    """Flat index into a field [C, Z, Y, X] of channels and a tile's voxels, [CHANNELS, rows, TX], and which exist."""
    row = (z * ny + y)[None, :, None] * nx + x[None, None, :]
    there = ((z < nz) & (y < ny))[None, :, None] & (x < nx)[None, None, :] & (c < n_channels)[:, None, None]
    return c.to(tl.int64)[:, None, None] * nz * ny * nx + row, there


@triton.jit
def render_tile(  # type: ignore[no-untyped-def]
    out, table, intensities, tile_first, tile_items, nz, ny, nx, n_ty, n_tx, n_channels,
    TZ: tl.constexpr, TY: tl.constexpr, TX: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """Program (tile, group of channels): the sum of the tile's Gaussians, in the order of its list."""
    tile = tl.program_id(0)
    z, y, x = voxels_of(tile, n_ty, n_tx, TZ, TY, TX)
    c = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    field = tl.zeros([CHANNELS, TZ * TY, TX], dtype=tl.float32)
    for k in range(tl.load(tile_first + tile), tl.load(tile_first + tile + 1)):
        gaussian = tl.load(tile_items + k)
        _, _, _, weight = whitened(table, gaussian, z, y, x)
        amplitude = tl.load(intensities + gaussian.to(tl.int64) * n_channels + c, mask=c < n_channels, other=0.0)
        field += amplitude.to(tl.float32)[:, None, None] * weight[None]
    places, there = places_of(z, y, x, c, nz, ny, nx, n_channels)
    tl.store(out + places, field, mask=there)


@triton.jit
def push_tile(  # type: ignore[no-untyped-def]
    out, table, coefficients, intensities, d_intensities, tile_first, tile_items, nz, ny, nx, n_ty, n_tx, n_channels,
    TZ: tl.constexpr, TY: tl.constexpr, TX: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """Program (tile, group of channels): the change of the tile's sum along a direction, in the order of its list.

    ``coefficients`` [N, 9] of the polynomial by which a weight changes: ex, ey, ez, ex ex, ex ey, ex ez, ey ey, ey ez,
    ez ez.
    """
    tile = tl.program_id(0)
    z, y, x = voxels_of(tile, n_ty, n_tx, TZ, TY, TX)
    c = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    field = tl.zeros([CHANNELS, TZ * TY, TX], dtype=tl.float32)
    for k in range(tl.load(tile_first + tile), tl.load(tile_first + tile + 1)):
        gaussian = tl.load(tile_items + k).to(tl.int64)
        ex, ey, ez, weight = whitened(table, gaussian, z, y, x)
        o = coefficients + gaussian * 9
        # Along a row the polynomial is k0 + k1 ex + k2 ex^2.
        k0 = ey * (tl.load(o + 1) + tl.load(o + 6) * ey + tl.load(o + 7) * ez) + ez * (
            tl.load(o + 2) + tl.load(o + 8) * ez
        )
        k1 = tl.load(o) + tl.load(o + 4) * ey + tl.load(o + 5) * ez
        change = weight * (k0 + ex * (k1 + tl.load(o + 3) * ex))
        amplitude = tl.load(intensities + gaussian * n_channels + c, mask=c < n_channels, other=0.0)
        d_amplitude = tl.load(d_intensities + gaussian * n_channels + c, mask=c < n_channels, other=0.0)
        field += amplitude.to(tl.float32)[:, None, None] * change[None]
        field += d_amplitude.to(tl.float32)[:, None, None] * weight[None]
    places, there = places_of(z, y, x, c, nz, ny, nx, n_channels)
    tl.store(out + places, field, mask=there)


@triton.jit
def sum_chunk(  # type: ignore[no-untyped-def]
    grad, table, intensities, chunk_gaussian, chunk_first, chunk_last, gaussian_tiles, moments, sums,
    nz, ny, nx, n_ty, n_tx, n_channels,
    TZ: tl.constexpr, TY: tl.constexpr, TX: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """Program (some tiles of one Gaussian, group of channels): sums of g w times 1, e and e e^T.

    ``sums`` [chunks, C] per channel; ``moments`` [groups, chunks, 9] of the channels weighted with their intensities:
    ex, ey, ez, ex ex, ex ey, ex ez, ey ey, ey ez, ez ez.
    """
    chunk = tl.program_id(0).to(tl.int64)
    gaussian = tl.load(chunk_gaussian + chunk)
    c = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    amplitude = tl.load(intensities + gaussian.to(tl.int64) * n_channels + c, mask=c < n_channels, other=0.0)
    amplitude = amplitude.to(tl.float32)[:, None, None]
    by_channel = tl.zeros([CHANNELS, TZ * TY, TX], dtype=tl.float32)
    m_x = tl.zeros([TZ * TY, TX], dtype=tl.float32)
    m_y, m_z, m_xx, m_xy, m_xz, m_yy, m_yz, m_zz = m_x, m_x, m_x, m_x, m_x, m_x, m_x, m_x
    for k in range(tl.load(chunk_first + chunk), tl.load(chunk_last + chunk)):
        z, y, x = voxels_of(tl.load(gaussian_tiles + k), n_ty, n_tx, TZ, TY, TX)
        ex, ey, ez, weight = whitened(table, gaussian, z, y, x)
        places, there = places_of(z, y, x, c, nz, ny, nx, n_channels)
        g = tl.load(grad + places, mask=there, other=0.0)
        by_channel += g * weight[None]
        gw = tl.sum(g * amplitude, axis=0) * weight
        gx, gy, gz = gw * ex, gw * ey, gw * ez
        m_x, m_y, m_z = m_x + gx, m_y + gy, m_z + gz
        m_xx, m_xy, m_xz = m_xx + gx * ex, m_xy + gx * ey, m_xz + gx * ez
        m_yy, m_yz, m_zz = m_yy + gy * ey, m_yz + gy * ez, m_zz + gz * ez
    tl.store(sums + chunk * n_channels + c, tl.sum(tl.sum(by_channel, axis=2), axis=1), mask=c < n_channels)
    m = moments + (tl.program_id(1) * tl.num_programs(0).to(tl.int64) + chunk) * 9
    tl.store(m, tl.sum(m_x))
    tl.store(m + 1, tl.sum(m_y))
    tl.store(m + 2, tl.sum(m_z))
    tl.store(m + 3, tl.sum(m_xx))
    tl.store(m + 4, tl.sum(m_xy))
    tl.store(m + 5, tl.sum(m_xz))
    tl.store(m + 6, tl.sum(m_yy))
    tl.store(m + 7, tl.sum(m_yz))
    tl.store(m + 8, tl.sum(m_zz))
