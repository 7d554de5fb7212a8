"""What a run costs: counts first, then cycles on a preset's units, then energy. Results never
depend on any of this."""
