"""The agent language: YAML files as frozen workflows, templates and expressions over a run's state.

``load`` reads files, ``nodes`` is what they become, ``template`` renders what they hold, ``language`` and
``builtin_actions`` are the tables behind the loader, the JSON Schema (``schema``) and the docs (``language_doc``).
Nothing here runs anything.
"""
