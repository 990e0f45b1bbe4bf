"""The command line: the only room that knows all the others. Each command imports what it needs when it runs."""
