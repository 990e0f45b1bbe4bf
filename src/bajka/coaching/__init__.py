"""What a curve says, in words: advice while a model trains, and what came of it at the end. Pure functions of the numbers."""
