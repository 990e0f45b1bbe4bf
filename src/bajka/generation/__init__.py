"""Text from a model: prefill, decode over a preallocated cache, sampling; many texts at once, or one as it comes."""
