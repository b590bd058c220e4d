"""The loop that trains the networks of the diffusion renderer: one or many devices, stopped and taken up anywhere."""
