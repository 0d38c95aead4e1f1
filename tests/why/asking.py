"""Ask why an order of a world hangs, and do what is answered."""

import re

from orderctl.why import inquiry
from orderctl.why.chain import Diagnosis, Link, Step
from tests.faults.world import World

#: The command at the end of an explanation.
THEN = re.compile(r"; then: (orderctl .+)\Z", re.DOTALL)


def ask(world: World, code: str = "DH1") -> Diagnosis:
    """Return what is found of an order, with the settings of the world as they are now."""
    world.__dict__.pop("settings", None)
    order = world.shop.order(code)
    return world.shop.read(lambda c: inquiry.of_order(c, world.client, world.settings, order.id))


def ask_of_task(world: World, task_id: int) -> Diagnosis:
    world.__dict__.pop("settings", None)
    return world.shop.read(lambda c: inquiry.of_task(c, world.client, world.settings, task_id))


def step(found: Diagnosis, link: Link) -> Step:
    return next(one for one in found.steps if one.link is link)


def first(world: World, code: str = "DH1") -> Step:
    """Return the first link that does not hold."""
    found = ask(world, code).first
    assert found is not None, "every link holds"
    return found


def command_of(answer: Step) -> str:
    """Return the command that an answer prints: the repair, or the one behind an explanation."""
    if answer.repair is not None:
        return answer.repair
    found = THEN.search(answer.explanation or "")
    assert found is not None, f"no command: {answer}"
    return found[1]


def commands_of(answer: Step) -> list[str]:
    """Return all commands that an answer prints: the repair, and the one behind an explanation."""
    later = THEN.search(answer.explanation or "")
    return [one for one in (answer.repair, later and later[1]) if one is not None]


def carry_out(world: World, *commands: str) -> None:
    """Run commands exactly as they were printed."""
    done = world.play("orderctl", "\n".join(commands))
    assert done.returncode == 0, done.stderr
