"""A process with fake models behind gRPC: ``serve_fake.py JSON`` prints its port and serves until stdin closes."""

import asyncio
import json
import os
import sys
from pathlib import Path

from the_edge_agent.runtime.config import LimitsConfig, ListenConfig, RuntimeConfig
from the_edge_agent.runtime.daemon import Daemon
from the_edge_agent.runtime.model_status import ManagedModel
from the_edge_agent.runtime.registry import Registered
from the_edge_agent.runtime.schedule import Model
from the_edge_agent.runtime.worker_spec import WorkerSpec
from the_edge_agent.serving.access import Access
from the_edge_agent.serving.grpc_server import open_grpc
from the_edge_agent.settings import load_settings

FAKE = (sys.executable, "-P", "-m", "the_edge_agent.testing.fake_worker")


def fake(name, level="operational", slots=8, **orders):
    """A model on offer that the fake worker plays."""
    model = Model(name, 1, slots=slots, pinned=level == "operational", wanted=level == "operational")
    return Registered(ManagedModel(model, WorkerSpec(name, name, orders, FAKE)), level, Path(name), 0)


def may_be_ready(orders):
    """Whether the file that is waited for is there, if one is."""
    return Path(orders.get("ready_file", __file__)).exists()


async def main(orders):
    """Serve."""
    models = {name: fake(name, **given) for name, given in orders["models"].items()}
    config = RuntimeConfig(limits=LimitsConfig(**orders.get("limits", {})))
    environment = load_settings({"HOME": orders["home"], "PATH": os.environ["PATH"]})
    access = Access(keys=tuple(orders.get("keys", ())))
    async with Daemon(config, environment, models=models) as daemon:
        for name, registered in models.items():
            if registered.level == "operational":
                await daemon.load(name)
        daemon.ready = may_be_ready(orders)
        async with open_grpc(daemon, access, ListenConfig(), config.limits, lambda _: None) as port:
            print(port, flush=True)
            while not may_be_ready(orders):  # noqa: ASYNC110 - another process makes it
                await asyncio.sleep(0.02)
            daemon.ready = True
            await asyncio.to_thread(sys.stdin.read)


asyncio.run(main(json.loads(sys.argv[1])))
