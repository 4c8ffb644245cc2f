"""`python -m rtcompile`: the command line."""

from rtcompile.cli import main

main(prog_name="rtcompile")
