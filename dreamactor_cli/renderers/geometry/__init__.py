"""The geometry renderer: CPU only, no weights, the embedded default."""
