"""``chatcore inspect tap``: what passes between the servers of the running cluster."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.defer import Deferred

from chatcore.cli.choosing import chosen
from chatcore.cli.cluster import Cluster
from chatcore.cli.exits import DONE, CommandError
from chatcore.cli.inspect.following import Following
from chatcore.cli.inspect.messages import Printer, choice_of, dictionary_of, exchange_of
from chatcore.cli.inspect.taking import Batch, Taker
from chatcore.cli.output import Output
from chatcore.cli.reaching import reach
from chatcore.cli.survey import Survey
from chatcore.errors import WireError
from chatcore.inspector.batches import decode
from chatcore.inspector.commands import CHATCORE
from chatcore.inspector.exchange import Totals
from chatcore.inspector.tapped import Links, TappedMessages

LAST_SECONDS = 2.0
"""Seconds in which, at the end, what was seen is still shown and written."""


class Enough(Exception):
    """All that is wanted was seen."""


async def tap(options: argparse.Namespace, output: Output, *, reactor: Any) -> int:
    """Show what passes, until somebody ends it, or as much has passed as is wanted.

    Raises:
        CommandError: nobody can be asked, or there is no such server.
        ConfigError: as from `chatcore.cli.reaching.reach`, or a module can't be used.
    """
    options.commands = [CHATCORE, *options.commands]
    dictionary = dictionary_of(options)
    exchange = exchange_of(options, dictionary)
    aside = output.unbuffered()
    printer = Printer(aside, choice_of(options))
    watching = Watching(options, aside.note, reactor=reactor)
    messages = TappedMessages(watching.links, exchange)
    dictionary.types = watching.following.types
    dictionary.declared = watching.following.declared

    def take(batch: Batch) -> None:
        for event in decode(batch.data):
            for seen in messages.of(batch.node, batch.origin, event):
                printer.tell(seen)
                if options.boxes is not None and exchange.totals.boxes >= options.boxes:
                    raise Enough
        if aside.reader_is_gone:
            raise BrokenPipeError

    try:
        await watching.run(take)
    finally:
        output.unfinished = summary(exchange.totals)
        if not watching.all_taken:
            output.give_up()
    output.note(f"chatcore: {output.unfinished}")
    return DONE


class Watching:
    """Follows the servers that the options mean, and takes what they tell in a thread.

    Args:
        options: those of the command.
        note: told what people should know.
        reactor: the reactor.
        verb: what is done with the servers, as people are told.
        raw: whether nothing but bytes will do.

    Attributes:
        following: the servers.
        links: theirs.
        all_taken: whether, at the end, all that they told was taken.
    """

    def __init__(
        self,
        options: argparse.Namespace,
        note: Callable[[str], object],
        *,
        reactor: Any,
        verb: str = "tapping",
        raw: bool = False,
    ) -> None:
        self._options, self._note, self._reactor, self._verb = options, note, reactor, verb
        if options.ids and options.type is not None:
            raise CommandError("NODEs and --type can't go together", advice="Give one of them")
        if options.link is not None and (options.ids or options.type is not None):
            raise CommandError("--link says which servers are meant", advice="Name no others")
        found = reach(options, reactor=reactor)
        self._cluster = Cluster(found, seconds=options.timeout)
        self.following = Following(
            reach=found,
            cluster=self._cluster,
            means=_meant(options),
            given={"raw": True} if raw else _wanted(options),
            link=options.link,
            took=lambda node, origin, data, read: self._taker.put(Batch(node, origin, data), read),
            note=note,
            seconds=options.timeout,
            askers_first=not raw and (options.live or options.slow is not None),
        )
        self.links = Links(lambda: self.following.tapped, self.following.rank)
        self.all_taken = True
        self._is_over = False
        self._over: Deferred[None] = Deferred()

    async def run(
        self, take: Callable[[Batch], None], begun: Callable[[], object] = lambda: None
    ) -> None:
        """Follow them until this is cancelled, or ``take`` raises, or the time is over.

        Args:
            begun: called when all are visited, before ``take`` is.
            take: given what they tell, in the thread; raises `Enough` when that was all.

        Raises:
            CommandError: nobody can be asked, or there is no such server.
        """
        self._taker = Taker(take, failed=self._failed, reactor=self._reactor)
        following = self.following
        going_on: Deferred[None] | None = None
        timer: Any = None
        try:
            count = await following.begin()
            if following.failed.called:
                await following.failed  # before anything is begun for nobody
            begun()
            self._taker.start()
            self._note(f"chatcore: {self._verb} {count} {'node' if count == 1 else 'nodes'}")
            going_on = Deferred.fromCoroutine(following.follow())
            going_on.addErrback(self._failed)
            following.failed.addErrback(self._failed)
            if self._options.seconds is not None:
                timer = self._reactor.callLater(self._options.seconds, self._failed, Enough())
            await self._over
        finally:
            if timer is not None and timer.active():
                timer.cancel()
            self._is_over = True
            if going_on is not None:
                going_on.cancel()
            await following.close()
            await self._cluster.close()
            self.all_taken = self._taker.stop(LAST_SECONDS)

    def _failed(self, problem: Any) -> None:
        if self._is_over or self._over.called:
            return
        found = getattr(problem, "value", problem)
        if isinstance(found, Enough | BrokenPipeError):
            self._over.callback(None)
        elif isinstance(found, WireError):
            why = f"what a server tells can't be read: {found}"
            self._over.errback(CommandError(why, advice="See whether its chatcore is another one"))
        else:
            self._over.errback(found)


def summary(totals: Totals) -> str:
    """What was seen, in words."""
    text = f"boxes: {totals.boxes}, asks: {totals.asks}, errors: {totals.errors}"
    if totals.lost or totals.missed:
        text += f", lost boxes: {totals.lost} ({totals.missed} bytes)"
    return text


def _wanted(options: argparse.Namespace) -> dict[str, Any]:
    """What servers are asked for that decode by themselves; those that show bytes don't mind."""
    return {
        "bodies": options.verbose,
        "redact": options.redact,
        "routes": options.route,
        "errors": options.errors,
        "slow": options.slow,
        "uid": options.uid,
        "channel": options.channel,
    }


def _meant(options: argparse.Namespace) -> Callable[[Survey], Iterable[str]]:
    """Which of the servers that there are the options mean.

    The first time, those that are named have to be there.
    """
    if options.link is not None:
        options.ids = sorted(options.link)
    begun = False

    def means(survey: Survey) -> Iterable[str]:
        nonlocal begun
        if not begun:
            begun = True
            found = chosen(options, survey)
        elif options.type is not None:
            found = [id for id in survey.ids if survey.type_of(id) == options.type]
        else:
            found = [id for id in survey.ids if not options.ids or id in options.ids]
        return [id for id in found if not survey.is_down(id)]

    return means
