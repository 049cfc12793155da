"""The command line: one file a command group, each a thin edge over ``app``, ``workflow`` and ``store``.

Nothing is imported here: ``tea --version`` answers within a tenth of a second.
"""
