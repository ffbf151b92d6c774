"""`python -m circuitbase` is the `circuitbase` command."""

from circuitbase.cli.main import main

if __name__ == "__main__":  # a worker's child imports this file again, under another name
    main(prog_name="circuitbase")
