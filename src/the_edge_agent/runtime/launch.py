"""``python -m the_edge_agent.runtime.launch PARENT COMMAND...``: become a program that dies with its parent.

The death signal that is set here survives exec, so any binary can be kept on this leash without knowing of it.
"""

from __future__ import annotations

import os
import sys

from the_edge_agent.runtime.confine import die_with_parent

if __name__ == "__main__":
    die_with_parent(int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - no shell is the point
