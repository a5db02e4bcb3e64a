"""nowcast: 3D radar nowcasting with coherent groups of Gaussians."""

__version__ = "0.1.0"
