"""What is kept on disk: model folders in Hugging Face's format, checkpoints with a manifest, the run folder.

It stands before training, because writing, serving and exporting open a run without an optimizer.
"""
