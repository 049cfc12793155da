"""A small MCP server over stdio, for tests: ``python mcp_server.py``."""

from mcp.server import MCPServer

server = MCPServer("numbers")


@server.tool()
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


@server.tool()
def fail(reason: str) -> str:
    """Always fails."""
    raise ValueError(reason)


@server.tool()
def stop() -> str:
    """Ends the server in the middle of the call."""
    import os

    os._exit(3)


if __name__ == "__main__":
    server.run("stdio")
