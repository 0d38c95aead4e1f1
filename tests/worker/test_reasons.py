"""Why a course failed, in words for customers."""

import re

import pytest

from orderctl.states import ErrorType
from orderctl.worker import reasons

#: What a customer does not have to know.
TECHNICAL = re.compile(
    r"[/\\_:]|\b(?:http|url|server|disk|worker|task|error|exception|host|file system)s?\b", re.IGNORECASE
)


@pytest.mark.parametrize("error_type", ErrorType)
def test_each_type_of_failure_has_words_that_say_what_happened_and_what_follows(error_type):
    sentence = reasons.explain(error_type)

    assert not TECHNICAL.search(sentence)
    assert error_type.value not in sentence
    assert len(re.findall(r"\.(?: |$)", sentence)) >= 2
    assert "We" in sentence


@pytest.mark.parametrize("given", [None, "", "network", "A_WORD_OF_THE_SHOP"])
def test_what_another_program_wrote_is_unknown(given):
    assert reasons.kind(given) is ErrorType.UNKNOWN
