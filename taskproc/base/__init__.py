"""What knows of no task and no disk: errors, messages on a pipe, process trees, how options are declared.

Imports nothing else of taskproc. Begin with `errors`, which says who can act on what goes wrong, and `lean`, which says
what a worker does without.
"""
