"""Dims, element types and value types. Imports nothing of the project but `dlc.diag`."""
