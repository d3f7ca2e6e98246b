"""What may happen to a cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .stage import BACKENDS, FRONTENDS

if TYPE_CHECKING:
    from .play import Play

Trouble = Callable[["Play"], None]


def choose(play: Play) -> None:
    """Have something happen that belongs to this kind of schedule."""
    kinds = {
        "quiet": [nothing],
        "planned": PLANNED,
        "crashes": PLANNED + CRASHES * 2,
        "cuts": CUTS,
        "everything": PLANNED + CRASHES + CUTS,
    }
    play.world.random.choice(kinds[play.kind])(play)


def nothing(play: Play) -> None:
    """Have nothing happen."""


# What an operator does.


def add_backend(play: Play) -> None:
    _add(play, play.chats, [f"chat-{n}" for n in range(1, BACKENDS + 1)])


def add_frontend(play: Play) -> None:
    _add(play, play.fronts, [f"front-{n}" for n in range(1, FRONTENDS + 1)])


def _add(play: Play, ids: list[str], all_ids: list[str]) -> None:
    free = [id for id in all_ids if id not in play.machines or play.machines[id].dead]
    if free:
        if free[0] not in ids:
            ids.append(free[0])
        play.note(f"{free[0]} is added")
        play.start(free[0])


def drop_backend(play: Play) -> None:
    living = play.up(*play.chats)
    if len(living) > 1:
        play.note("a backend is taken away")
        play.stop(play.world.random.choice(living))


def restart_backend(play: Play) -> None:
    living = play.up(*play.chats)
    if len(living) > 1:
        id = play.world.random.choice(living)
        play.note(f"{id} is restarted")
        play.stop(id, then=lambda: play.start(id))


def drop_frontend(play: Play) -> None:
    living = play.up(*play.fronts)
    if len(living) > 1:
        play.note("a frontend is taken away")
        play.stop(play.world.random.choice(living))


# Nodes that die.


def kill(play: Play) -> None:
    living = play.living()
    if living:
        id = play.world.random.choice(living)
        play.note(f"{id} is going to be killed")
        play.kill(id)
        _come_back(play, id)


def kill_backend(play: Play) -> None:
    living = play.living(*play.chats)
    if living:
        id = play.world.random.choice(living)
        play.note(f"{id} is going to be killed")
        play.kill(id)
        _come_back(play, id)


def kill_in_a_turn(play: Play) -> None:
    """Kill a node between two of the writes with which a turn ends."""
    living = play.living()
    if living:
        id = play.world.random.choice(living)
        play.note(f"{id} is going to die in the middle of a turn")
        play.machines[id].kill_after_writes(play.world.random.randint(0, 12))
        play.machines[id].on_death(lambda: play._fallen(id))
        _come_back(play, id)


def _come_back(play: Play, id: str) -> None:
    chance = play.world.random
    if chance.random() < 0.7:
        play.world.later(chance.choice((0.05, 0.5, 2.0, 5.0)), play.start, id)


# A network, a registry and machines that fail.


def reset(play: Play) -> None:
    pair = _pair(play)
    if pair is not None and play.wires.reset(*pair):
        play.note(f"the link of {pair[0]} and {pair[1]} breaks")


def hold(play: Play) -> None:
    """Cut two nodes off from each other, in both directions."""
    pair = _pair(play)
    if pair is not None:
        _hold(play, [pair, pair[::-1]], _seconds(play))


def hold_one_way(play: Play) -> None:
    pair = _pair(play)
    if pair is not None:
        _hold(play, [pair], _seconds(play))


def part(play: Play) -> None:
    """Cut a node off from all others, and from the registry."""
    living = play.living()
    if len(living) > 1:
        id, seconds = play.world.random.choice(living), _seconds(play)
        others = [each for each in living if each != id]
        _cut_off(play, id, seconds)
        _hold(play, [(id, o) for o in others] + [(o, id) for o in others], seconds)


def lose_registry(play: Play) -> None:
    """Cut a node off from the registry alone."""
    living = play.living()
    if living:
        _cut_off(play, play.world.random.choice(living), _seconds(play))


def _cut_off(play: Play, id: str, seconds: float) -> None:
    play.note(f"{id} can't reach the registry for {seconds} s")
    reach = play.registry.cut_off(play.machines[id])

    def heal() -> None:
        play.world.tell(f"{id} can reach the registry again")
        reach()

    play.heal_later(seconds, heal)


def stop_registry(play: Play) -> None:
    seconds = _seconds(play)
    play.note(f"the registry is down for {seconds} s")
    come_back = play.registry.go_down()

    def heal() -> None:
        play.world.tell("the registry is back")
        come_back()

    play.heal_later(seconds, heal)


def lag(play: Play) -> None:
    """Have a node hear of views late."""
    living = play.living()
    if living:
        id, seconds = play.world.random.choice(living), play.world.random.choice((0.5, 1.5, 3.0))
        play.note(f"{id} hears of views {seconds} s late")
        play.heal_later(_seconds(play), play.registry.lag(play.machines[id], seconds))


def pause(play: Play) -> None:
    """Stop a node for a while, as SIGSTOP does."""
    living = [id for id in play.living() if not play.machines[id].paused]
    if living:
        id, seconds = play.world.random.choice(living), _seconds(play)
        machine = play.machines[id]
        play.note(f"{id} is stopped for {seconds} s")
        machine.pause()
        play.registry.changed(machine)

        def heal() -> None:
            if not machine.dead:
                play.world.tell(f"{id} goes on")
                machine.wake()
                play.registry.changed(machine)

        play.heal_later(seconds, heal)


def slow(play: Play) -> None:
    """Make the link of two nodes slow in one direction."""
    pair = _pair(play)
    if pair is not None:
        rate, seconds = play.world.random.choice((200.0, 2000.0)), _seconds(play)
        play.note(f"{pair[0]} to {pair[1]}: {rate:g} bytes/s for {seconds} s")
        play.wires.slow(*pair, rate)
        play.heal_later(seconds, lambda: play.wires.slow(*pair, 0.0))


def _hold(play: Play, pairs: list[tuple[str, str]], seconds: float) -> None:
    play.note(f"held for {seconds} s: " + ", ".join(f"{a} to {b}" for a, b in pairs))
    for pair in pairs:
        play.wires.hold(*pair)

    def heal() -> None:
        play.world.tell("let go: " + ", ".join(f"{a} to {b}" for a, b in pairs))
        for pair in pairs:
            play.wires.release(*pair)

    play.heal_later(seconds, heal)


def _pair(play: Play) -> tuple[str, str] | None:
    living = play.living()
    if len(living) < 2:
        return None
    one, other = play.world.random.sample(living, 2)
    return one, other


def _seconds(play: Play) -> float:
    return play.world.random.choice((0.1, 0.7, 2.0, 4.0, 7.0, 12.0))


PLANNED: list[Trouble] = [add_backend, drop_backend, restart_backend, add_frontend, drop_frontend]
CRASHES: list[Trouble] = [kill, kill_backend, kill_in_a_turn]
CUTS: list[Trouble] = [
    reset,
    hold,
    hold_one_way,
    part,
    lose_registry,
    stop_registry,
    lag,
    pause,
    slow,
]
