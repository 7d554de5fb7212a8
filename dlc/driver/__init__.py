"""From source to artefact: the order of the stages, and what each of them is told."""
