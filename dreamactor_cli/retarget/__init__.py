"""Retargeting: from the driver's controls to controls of the reference."""
