"""Starts a worker process by the path of this file, whatever the interpreter, PYTHONPATH or working directory are."""
import gc
import os
import sys

gc.disable()  # what importing makes is no garbage, and looking for some took a tenth of a worker's start
_package = os.path.dirname(os.path.abspath(__file__))
if sys.path and os.path.abspath(sys.path[0] or ".") == _package:
    del sys.path[0]
try:
    import taskproc.work  # noqa: F401 (only to see whether it can be found)
except ImportError:
    sys.path.append(os.path.dirname(os.path.dirname(_package)))

if __name__ == "__main__":
    program, *arguments = sys.argv[1:]
    module = {"serve": "taskproc.work.pipe", "one": "taskproc.work.file", "staged": "taskproc.work.element"}[program]
    __import__(module)
    gc.enable()
    sys.modules[module].main(*arguments)
