"""Values and rows as text for people and programs: safe, aligned, in every format of ``-o``."""
