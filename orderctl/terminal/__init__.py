"""Turns values and rows into text for people and programs, in every format of ``-o``."""
