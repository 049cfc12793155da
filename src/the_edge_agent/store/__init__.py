"""Models on disk and on the way: found, fetched, verified, explained. Imports nothing by itself; take the modules."""
