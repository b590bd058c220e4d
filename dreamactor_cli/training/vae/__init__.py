"""Training of the small video VAE that the starter weights stand on."""
