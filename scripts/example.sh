#!/bin/sh
# Counts the words of Python's own standard library. Further arguments go to taskproc.
. "$(dirname -- "$0")/setup.sh"
setup example -e .
exec "$venv/bin/taskproc" examples/word_count.py "$@"
