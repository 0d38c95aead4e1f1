"""Why an order or a task hangs: the links of its way, the first that is broken, and the command that repairs it.

``chain`` has the links and what is said of one; each other module here looks at some of them.
"""
