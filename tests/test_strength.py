"""Which secrets are refused as too weak."""

import secrets

import pytest

from orderctl.strength import weakness


@pytest.mark.parametrize(
    ("secret", "why"),
    [
        ("", "0 characters"),
        ("short", "5 characters"),
        (" " * 31 + "x", "1 character besides white space"),
        ("\t" * 40, "0 characters besides white space"),
        ("x" * 31, "31 characters"),
        ("x" * 64, "1 different character"),
        ("x" * 31 + "y", "2 different characters"),
        ("01" * 32, "2 different characters"),
        ("password" * 8, "7 different characters"),
        ("letmein!now" * 4, "repeats 11 characters"),
        ("0123456789abcdef" * 4, "repeats 16 characters"),
        ("A1b2C3d4E5f6G7h8" * 2 + "A1b2", "repeats 16 characters"),
        ("abcdefghijklmnopqrstuvwxyz012345", "sequence"),
        ("ZYXWVUTSRQPONMLKJIHGFEDCBA9876543210", "sequence"),
        ("aabbccddeeffgghhiijjkkllmmnnooppqq", "sequence"),
    ],
)
def test_what_was_not_made_at_random(secret, why):
    said = weakness(secret)

    assert said is not None
    assert why in said
    assert not secret.strip() or secret not in said


@pytest.mark.parametrize(
    "make",
    [
        lambda: secrets.token_hex(32),
        lambda: secrets.token_urlsafe(32),
        lambda: "whsec_" + secrets.token_urlsafe(24),
        lambda: secrets.token_hex(32) + "\n",
        lambda: "correct horse battery staple, and a few words more",
        lambda: "ồ" + secrets.token_hex(16),
    ],
)
def test_what_may_be_good(make):
    assert [weakness(make()) for _ in range(50)] == [None] * 50
