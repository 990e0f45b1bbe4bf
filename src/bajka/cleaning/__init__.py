"""A text in, a clean text out: named steps, each with a switch of its own, counted and shown with examples."""

from bajka.cleaning.changes import Change
from bajka.cleaning.cleaner import Cleaner, Place

__all__ = ["Change", "Cleaner", "Place"]
