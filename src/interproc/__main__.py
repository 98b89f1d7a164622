"""`python -m interproc`: see `interproc.cli`."""

import sys

from interproc.cli import main

if __name__ == "__main__":
    sys.exit(main())
