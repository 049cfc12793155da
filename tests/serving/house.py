"""A daemon's HTTP edge on a free port around a core, for the length of a block.

gRPC's own loop survives no second event loop in a process, so its tests run ``serve_fake.py`` in a process of its own.
"""

from __future__ import annotations

import os
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from the_edge_agent.runtime.config import RuntimeConfig
from the_edge_agent.runtime.daemon import Daemon
from the_edge_agent.runtime.model_status import ManagedModel
from the_edge_agent.runtime.registry import Registered
from the_edge_agent.runtime.schedule import Model
from the_edge_agent.runtime.worker_spec import WorkerSpec
from the_edge_agent.serving.access import Access
from the_edge_agent.serving.http import HttpApp, Site
from the_edge_agent.serving.listeners import Listener, bind_tcp
from the_edge_agent.serving.server import ROUTES
from the_edge_agent.settings import load_settings

FAKE = (sys.executable, "-P", "-m", "the_edge_agent.testing.fake_worker")


def fake(name="fake", level="operational", *, slots=8, **orders):
    """A model on offer that the fake worker plays."""
    operational = level == "operational"
    model = Model(name, 1, slots=slots, pinned=operational, wanted=operational)
    return Registered(ManagedModel(model, WorkerSpec(name, name, orders, FAKE)), level, Path(name), 0)


@dataclass
class House:
    """The edge's address, the core behind it, and a client."""

    daemon: Daemon
    url: str
    client: httpx.AsyncClient

    async def chat(self, text="Hi", **fields):
        """The response of a chat completion."""
        body = {"messages": [{"role": "user", "content": text}], **fields}
        return await self.client.post("/v1/chat/completions", json=body)


@asynccontextmanager
async def serving(tmp_path, *models, access=None, environ=None, gateway=None, **config):
    """Edges around these models; without any, around the embedded one."""
    environment = load_settings({"HOME": str(tmp_path), "PATH": os.environ["PATH"], **(environ or {})})
    given = {model.name: model for model in models} or None
    access = access or Access()
    if gateway is not None:
        config["gateway"], gateway = gateway.config, gateway.gateway
    async with Daemon(RuntimeConfig(**config), environment, models=given, gateway=gateway) as daemon:
        await daemon.boot() if given is None else [
            await daemon.manager.load(m.name) for m in models if m.level == "operational"
        ]
        daemon.ready = True
        limits = daemon.config.limits
        listener = Listener(
            HttpApp(Site(daemon, access), ROUTES),
            bind_tcp("127.0.0.1", 0),
            connections=limits.connections,
            header_timeout_s=limits.header_timeout_s,
        )
        await listener.open()
        url = f"http://127.0.0.1:{listener.port}"
        async with httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as client:
            try:
                yield House(daemon, url, client)
            finally:
                await listener.close(0.5)
