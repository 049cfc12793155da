#!/usr/bin/env python3
"""Write the files beside this one: what a package of tea puts on a system, from the installer's own texts.

    write.py            write them
    write.py --check    say which differ, and exit with 1

Does not know what a package is: README.md beside it says where each file belongs.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from the_edge_agent.cli.runtime_install_plan import plan_system, plan_user

HERE = Path(__file__).resolve().parent
PROGRAM = ("/usr/bin/tea",)


def packaged_texts() -> Mapping[str, str]:
    """Path below this folder → text."""
    system = {planned.path: planned.text for planned in plan_system(PROGRAM).files}
    user = {planned.path: planned.text for planned in plan_user(PROGRAM, {}, Path("/")).files}
    texts = {f"system/{path.name}": text for path, text in system.items() if path.name.startswith("tea-")}
    texts |= {f"user/{path.name}": text for path, text in user.items() if path.name.startswith("tea-")}
    texts |= {
        "tea.sysusers": system[Path("/etc/sysusers.d/tea.conf")],
        "tea.tmpfiles": system[Path("/etc/tmpfiles.d/tea.conf")],
        "runtime.yaml": system[Path("/etc/tea/runtime.yaml")],
    }
    return texts


def main(arguments: Sequence[str]) -> int:
    """Run the command line. Returns the exit code."""
    differing = 0
    for name, text in packaged_texts().items():
        path = HERE / name
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        differing += 1
        if "--check" in arguments:
            print(f"{name} differs: run packaging/systemd/write.py", file=sys.stderr)
            continue
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(f"wrote {name}")
    return 1 if differing and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
