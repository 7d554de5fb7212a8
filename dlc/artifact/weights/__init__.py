"""Weights: one flat block with an offset table; files in and out; names and shapes."""
