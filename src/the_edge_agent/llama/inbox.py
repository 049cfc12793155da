"""What other threads ask of a loop: tasks in order, and an end. Knows nothing of what the tasks do."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

from the_edge_agent.errors import UseAfterClose

Task = TypeVar("Task")


class Inbox(Generic[Task]):
    """Tasks for one consumer; any thread may put."""

    def __init__(self) -> None:
        self._tasks: deque[Task] = deque()
        self._wake = threading.Condition()
        self.closed = False

    def put(self, task: Task, *, late: bool = False) -> None:
        """Queue a task. Raises UseAfterClose unless ``late`` (then a closed inbox ignores it)."""
        with self._wake:
            if self.closed:
                if late:
                    return
                raise UseAfterClose("this generator is closed", fix="open a new one")
            self._tasks.append(task)
            self._wake.notify()

    def close(self) -> None:
        """Let the loop come to its end."""
        with self._wake:
            self.closed = True
            self._wake.notify()

    def take(self, *, wait: bool) -> list[Task]:
        """All queued tasks; with ``wait``, blocks until there is one or the inbox is closed."""
        if not wait and not self._tasks:
            return []
        with self._wake:
            while wait and not self._tasks and not self.closed:
                self._wake.wait()
            tasks = list(self._tasks)
            self._tasks.clear()
            return tasks
