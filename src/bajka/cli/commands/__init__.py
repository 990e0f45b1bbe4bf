"""One file a command; `bajka.cli.main` finds them by name."""
