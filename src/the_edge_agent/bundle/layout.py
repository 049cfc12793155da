"""Where things lie in a bundle. The launcher (packaging/appimage/launcher.c) and the store know some of these too."""

from __future__ import annotations

from pathlib import PurePosixPath

from the_edge_agent.bundle.variants import PYTHON_VERSION

#: Python's prefix: ``sys.prefix`` is this folder, because the path file lies here.
PREFIX = PurePosixPath("usr/lib/tea")
PYTHON = PREFIX / "python3"
PATH_FILE = PREFIX / "python3._pth"
BASE = PREFIX / "base"
LOADER = BASE / "ld.so"
INTERPRETER = BASE / "python3"
STDLIB = PREFIX / "lib" / f"python{PYTHON_VERSION}"
EXTENSIONS = STDLIB / "lib-dynload"
SITE_PACKAGES = STDLIB / "site-packages"
LLAMA = PREFIX / "lib" / "tea-llama"

APP_RUN = PurePosixPath("AppRun")
COMMAND = PurePosixPath("usr/bin/tea")
SHARE = PurePosixPath("usr/share/the-edge-agent")
AGENTS = SHARE / "agents"
LOCK = SHARE / "bundle.json"
LICENCES = PurePosixPath("usr/share/doc/licences")
MODELS = PurePosixPath("usr/share/models")

#: Python's search path, relative to the path file. Its presence also makes Python isolated: nothing of the host's
#: PYTHONPATH, user site or working folder comes in.
PATH_LINES = tuple(str(folder.relative_to(PREFIX)) for folder in (STDLIB, EXTENSIONS, SITE_PACKAGES))
