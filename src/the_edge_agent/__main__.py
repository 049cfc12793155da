"""``python -m the_edge_agent`` is ``tea``."""

import sys

from the_edge_agent.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
