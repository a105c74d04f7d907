"""`python -m pystack`."""

from pystack.cli import main

main()
