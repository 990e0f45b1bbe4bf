"""A model for others: a clean Hugging Face folder, a card written from the run's facts, and the hub."""
