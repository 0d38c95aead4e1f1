"""The tests. A real package: a namespace package loses to any installed ``tests`` package."""
