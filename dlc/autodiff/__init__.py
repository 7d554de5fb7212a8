"""Reverse mode as an IR-to-IR pass: residuals are ordinary data, no tape and no closures."""
