"""``python -m chatcore``: the same as the command ``chatcore``."""

import sys

from chatcore.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
