"""Drivers of `ddg_protocol`: everything that touches the world."""
