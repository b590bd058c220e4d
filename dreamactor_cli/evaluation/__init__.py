"""Is a result what was asked for? Measures, and the gates of ``--qc``."""
