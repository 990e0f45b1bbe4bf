"""A model over HTTP: the studio, a page in the browser to write with it."""
