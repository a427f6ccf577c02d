"""Make or update .venv with pip and the hashed locks: `python3 tools/bootstrap.py [--dev]`.

This file parses on any Python 3, far enough to say which one is needed.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036
    sys.stderr.write(
        "rapport: Python 3.11 or newer is needed; this is "
        + sys.version.split()[0]
        + ". Install it and call: make PYTHON=python3.11 ...\n"
    )
    sys.exit(1)

if __name__ == "__main__":
    from environment import main

    sys.exit(main(sys.argv[1:]))
