"""The main job, on real input: train, save, compile, link into C, classify."""
