"""Safe wrappers over libllama: models, contexts, batches, samplers, and the generator that batches them continuously.

Import from the modules; nothing is loaded before a model is. Nothing above this package touches a raw pointer.
"""
