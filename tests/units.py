"""Numbers and how people see them: the command line and the relay's page use the same words."""

SIZES = [
    (0, "0 B"),
    (512.5, "512 B"),
    (1023, "1023 B"),
    (1024, "1.0 KiB"),
    (1536, "1.5 KiB"),
    (1_000_000, "976.6 KiB"),
    (2**20 - 1, "1024.0 KiB"),
    (1.25 * 2**20, "1.2 MiB"),
    (1.75 * 2**20, "1.8 MiB"),
    (2**30, "1.0 GiB"),
    (2**50, "1024.0 TiB"),
]
#: By the number of seconds that a moment lies back.
AGES = [
    (0, "0s ago"),
    (59.9, "59s ago"),
    (60, "1m ago"),
    (3599, "59m ago"),
    (7199, "1h ago"),
    (86_400 * 2, "2d ago"),
    (86_400 * 400, "400d ago"),
    (-120, "in 2m"),
]
