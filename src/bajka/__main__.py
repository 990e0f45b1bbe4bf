"""`python -m bajka`: the same as the command `bajka`, also under `torchrun -m bajka`."""

from bajka.cli.main import main

if __name__ == "__main__":
    main()
