"""Kernels of the nowcasting chain: the Gaussian voxelizer and the state-space scan.

This package knows nothing of radar: it takes and returns tensors. See ``kernels/README.md`` for the
derivations, the conventions and the measured speeds.
"""
