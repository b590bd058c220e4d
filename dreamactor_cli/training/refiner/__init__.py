"""Training of the refiner, `models.refiner`."""
