"""Texts that others give."""

from orderctl import texts


def test_arguments_can_be_pasted_and_are_no_options():
    assert texts.arguments("DH 1", "DH2") == "'DH 1' DH2"
    assert texts.arguments("DH1", "--yes") == "-- DH1 --yes"
