"""The plan of a run: shape, recipe, rate and memory, worked out from the settings, the texts and the machine, with reasons."""
