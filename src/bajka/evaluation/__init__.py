"""How good a model is, in numbers that can be compared: loss, perplexity, bits per byte and per letter."""
