"""What is wrong with the installation: checks with measured values, and for each fault what repairs it.

``checks`` has what is said of one; each other module here makes those of one area.
"""
