"""Training of the diffusion renderer in the paper's three stages, on synthetic people or on one's own videos."""
