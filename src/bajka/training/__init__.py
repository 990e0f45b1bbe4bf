"""Training: the loop, the optimizer, checkpoints, and what happens when something goes wrong.

`bajka.training.steps` holds the loop itself, a generator that yields one `StepReport` per optimizer update.
`bajka.training.train` holds the caller that most people want: it prepares, resumes, prints, evaluates, samples, saves, and
returns the finished run.
"""
