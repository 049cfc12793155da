"""`python -m bench [--only AREA] [--quick]`: run the benchmarks and print a row each.

A benchmark is a module ``bench/AREA_*.py`` with ``rows(quick) -> Iterator[Row]``. The exit code is 1 only where a row
could not run; a row that falls short says so and the run goes on.
"""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import sys
import traceback
from pathlib import Path

AREAS = ("engine", "inference", "store", "runtime", "bundle", "web", "ray", "cli")


def main() -> int:
    """Run every benchmark of the areas that were asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", choices=AREAS, help="benchmarks of one area")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions; figures are rougher")
    args = parser.parse_args()
    print(f"# {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}", flush=True)
    print(f"# {'row':<56} {'ours':>10} {'peer':>10} {'ratio':>8} {'goal':>9} {'':5} unit", flush=True)
    could_not_run = 0
    for module_name in _modules(args.only):
        try:
            for row in importlib.import_module(f"bench.{module_name}").rows(args.quick):
                print(row, flush=True)
        except Exception:  # noqa: BLE001 - one broken benchmark must not hide the others
            could_not_run += 1
            print(f"{module_name} could not run:", file=sys.stderr)
            traceback.print_exc()
    return 1 if could_not_run else 0


def _modules(only: str | None) -> list[str]:
    areas = (only,) if only else AREAS
    names = sorted(
        path.stem for path in Path(__file__).parent.glob("*_*.py") if not path.stem.startswith("_")
    )
    return [name for area in areas for name in names if name.startswith(f"{area}_")]


if __name__ == "__main__":
    sys.exit(main())
