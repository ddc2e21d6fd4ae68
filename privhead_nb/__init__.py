"""Privacy-aware 3D head reconstruction: Scene -> protect -> Release -> reconstruct -> evaluate."""

__version__ = "0.1.0"
