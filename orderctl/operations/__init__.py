"""Operations: bulk changes of tasks that supervisors carry out, one task at a time, at a pace.

``making`` fixes which tasks are changed, and in which states they were: each failure is retried once. Until all of them
are written, nothing is carried out. ``turns`` is what a supervisor does: it leases operations, by the database's clock, and
changes their tasks (``carrying``) as their rates allow (``rates``); it looks what has become of those that were retried
(``outcomes``), stops an operation whose canary or too many of whose tasks fail, and ends it.
"""
