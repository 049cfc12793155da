"""The engine in a browser tab: the composition root for Pyodide, with its own adapters.

``boot`` is what the engine's worker imports; everything that is outside (the model, stored runs, the page) is reached by
messages over ``border``. Only standard Python is used here, so all of it runs and is tested natively too.
"""
