"""Progress of an attempt is what its folder gained."""

from pathlib import Path

import pytest

from orderctl.worker.gains import WORTH_IT, Gains


@pytest.mark.parametrize(
    ("before", "after", "is_worth_it"),
    [
        ({}, {}, False),
        ({}, {"a.part": WORTH_IT}, True),
        ({"a.part": 5}, {"a.part": WORTH_IT}, False),
        ({"a.part": WORTH_IT}, {"a.part": WORTH_IT + 1}, False),
        ({"a.part": WORTH_IT}, {"a.part": WORTH_IT}, False),  # from the start again
        ({"a.part": WORTH_IT}, {"a": WORTH_IT, "b/c": WORTH_IT}, True),
    ],
)
def test_progress_is_what_the_folder_gained(
    tmp_path: Path, before: dict[str, int], after: dict[str, int], *, is_worth_it: bool
) -> None:
    folder = tmp_path / "DH1/1"

    def write(files: dict[str, int]) -> None:
        for name, size in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            with (folder / name).open("ab") as file:
                file.truncate(size)

    write(before)
    gains = Gains(folder)
    for name in before.keys() - after.keys():
        (folder / name).unlink()
    write(after)

    assert gains.are_worth_it() is is_worth_it
