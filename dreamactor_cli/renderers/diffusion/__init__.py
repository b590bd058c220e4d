"""The renderer ``diffusion``: our own video diffusion transformer, driven by drawn poses and what the face does."""
