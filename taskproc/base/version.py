"""The version of taskproc, for every room: the package itself may not be imported by what it imports."""
__version__ = "1.0.0"
