"""The commands. Each has a module, in which it is called ``cli``."""
