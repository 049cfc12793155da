"""``tea models list | path``: what there is, and where."""

from __future__ import annotations

import argparse

from the_edge_agent.cli.console import Console
from the_edge_agent.cli.model_places import model_query, store_places
from the_edge_agent.cli.text import format_bytes
from the_edge_agent.errors import ModelNotFound
from the_edge_agent.settings import load_settings
from the_edge_agent.store.locate import embedded_model_path, locate_model, locate_named


def list_models(args: argparse.Namespace, console: Console) -> int:
    """``tea models list``."""
    from the_edge_agent.store.catalogue import CATALOGUE_PATH
    from the_edge_agent.store.inventory import list_models as list_held

    if args.catalogue:
        import json

        console.json(json.loads(CATALOGUE_PATH.read_text(encoding="utf-8")))
        return 0
    try:
        embedded = embedded_model_path()
    except ModelNotFound:
        embedded = None
    rows = list_held(store_places(load_settings()), embedded)
    if args.here:
        rows = tuple(row for row in rows if row.where != "absent")
    if args.json:
        console.json(
            [
                {
                    "name": row.name,
                    "where": row.where,
                    "quantization": row.quantization,
                    "size_bytes": row.size_bytes,
                    "done_bytes": row.done_bytes,
                    "level": row.level,
                    "license": row.license,
                    "source": row.source,
                    "path": str(row.path) if row.path else None,
                }
                for row in rows
            ]
        )
        return 0
    console.table(
        ("MODEL", "WHERE", "SIZE", "QUANTIZATION", "LEVEL", "LICENCE", "SOURCE"),
        [
            (
                row.name,
                f"{100 * row.done_bytes // max(row.size_bytes, 1)}% fetched"
                if row.where == "partial"
                else row.where,
                ("about " if row.where == "absent" else "") + format_bytes(row.size_bytes),
                row.quantization,
                row.level,
                row.license,
                row.source,
            )
            for row in rows
        ],
    )
    return 0


def show_path(args: argparse.Namespace, console: Console) -> int:
    """``tea models path``."""
    query = model_query(load_settings())
    found = locate_named(args.model, query, rule="MODEL") if args.model else locate_model(query)
    if args.json:
        console.json({"name": found.name, "path": str(found.path), "rule": found.rule})
    else:
        console.out(str(found.path))
    return 0
