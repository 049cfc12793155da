"""What desktops and software centres read of an AppImage: the .desktop entry, the icon, the AppStream metadata."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from xml.sax.saxutils import escape

from the_edge_agent.bundle.plan import BundlePlan
from the_edge_agent.bundle.workshop import Workshop

APP_ID = "io.github.the_edge_agent.tea"
ICON = "tea.png"


def put_desktop(plan: BundlePlan, workshop: Workshop, tree: Path) -> None:
    """Write entry, icon and metadata where the AppImage specification wants them."""
    entry = tree / "usr/share/applications" / f"{APP_ID}.desktop"
    metadata = tree / "usr/share/metainfo" / f"{APP_ID}.appdata.xml"
    icon = tree / "usr/share/icons/hicolor/256x256/apps" / ICON
    for file in (entry, metadata, icon):
        file.parent.mkdir(parents=True, exist_ok=True)
    entry.write_text(desktop_entry(plan), encoding="utf-8")
    metadata.write_text(appstream(plan, workshop.epoch_s), encoding="utf-8")
    shutil.copyfile(workshop.native / ICON, icon)
    (tree / entry.name).symlink_to(entry.relative_to(tree))
    (tree / ICON).symlink_to(icon.relative_to(tree))
    (tree / ".DirIcon").symlink_to(ICON)


def desktop_entry(plan: BundlePlan) -> str:
    """The text of the .desktop file."""
    title = plan.default_agent.name if plan.default_agent else "The Edge Agent"
    return (
        "[Desktop Entry]\n"
        "Type=Application\n"
        f"Name={title}\n"
        "Comment=An agent and its model, in one file\n"
        "Exec=tea run --interactive\n"
        "Icon=tea\n"
        "Terminal=true\n"
        "Categories=Utility;\n"
        f"X-AppImage-Name={plan.name}\n"
        f"X-AppImage-Version={plan.version}\n"
        f"X-AppImage-Arch={plan.arch.name}\n"
    )


def appstream(plan: BundlePlan, epoch_s: int) -> str:
    """The text of the AppStream metadata."""
    date = datetime.fromtimestamp(epoch_s, UTC).date().isoformat()
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<component type="console-application">\n'
        f"  <id>{APP_ID}</id>\n"
        "  <metadata_license>CC0-1.0</metadata_license>\n"
        "  <project_license>Apache-2.0</project_license>\n"
        "  <name>The Edge Agent</name>\n"
        "  <summary>LLM agents that run offline, on any machine, from one file</summary>\n"
        f"  <description><p>{escape(plan.name)}: an agent with its model, its Python and its "
        "inference library.</p></description>\n"
        f'  <launchable type="desktop-id">{APP_ID}.desktop</launchable>\n'
        "  <provides><binary>tea</binary></provides>\n"
        f'  <releases><release version="{escape(plan.version)}" date="{date}"/></releases>\n'
        "</component>\n"
    )
