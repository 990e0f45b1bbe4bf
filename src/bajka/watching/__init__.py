"""What a person sees of a run, and what is written down of it: the view, plots, metrics, trackers, `bajka watch`."""
