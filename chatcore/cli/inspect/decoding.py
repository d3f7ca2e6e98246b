"""``chatcore inspect show`` and ``decode``: what files and pipes hold."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import BinaryIO

from chatcore.cli.exits import DONE, FAILED
from chatcore.cli.inspect.messages import Printer, choice_of, dictionary_of, exchange_of
from chatcore.cli.output import Output
from chatcore.errors import ConfigError
from chatcore.inspector.capture import MARKER, Record, VersionError
from chatcore.inspector.captured import CHATCORE, messages
from chatcore.inspector.commands import CHATCORE as CHATCORE_COMMANDS
from chatcore.inspector.commands import Dictionary
from chatcore.inspector.exchange import Exchange, Totals, Way
from chatcore.inspector.pcap import Packets, head
from chatcore.inspector.reading import CHUNK, Damage, is_capture, read
from chatcore.inspector.stream import BoxStream

STDIN = "-"


def show(options: argparse.Namespace, output: Output) -> int:
    """Show a capture, or convert it.

    Raises:
        ConfigError: there is no such file, or it is none.
    """
    with _opened(options.file) as file:
        return _show(options, output, file, b"")


def decode(options: argparse.Namespace, output: Output) -> int:
    """Decode plain AMP, or show a capture.

    Raises:
        ConfigError: there is no such file.
    """
    with _opened(options.file) as file:
        beginning = _beginning(file)
        if is_capture(beginning):
            options.pcap = None
            return _show(options, output, file, beginning)
        return _decode(options, output, file, beginning)


def _decode(options: argparse.Namespace, output: Output, file: BinaryIO, beginning: bytes) -> int:
    exchange = exchange_of(options, dictionary_of(options))
    printer = Printer(output, choice_of(options))
    try:
        _decode_all(options, output, exchange, printer, _chunks(file, beginning))
    except KeyboardInterrupt:
        output.unfinished = _summary(exchange.totals)
        raise
    output.say(_summary(exchange.totals))
    return FAILED if exchange.totals.garbage else DONE


def _decode_all(
    options: argparse.Namespace,
    output: Output,
    exchange: Exchange,
    printer: Printer,
    chunks: Iterable[bytes],
) -> None:
    stream, way = BoxStream(), Way()
    for data in chunks:
        now = time.time_ns() // 1000 if options.stamp else None
        for seen in exchange.pieces(way, stream.feed(data), now):
            printer.tell(seen)
        if output.reader_is_gone:
            return
    for seen in exchange.pieces(way, stream.end(), None):
        printer.tell(seen)
    for seen in exchange.finish():
        printer.tell(seen)


def _show(options: argparse.Namespace, output: Output, file: BinaryIO, beginning: bytes) -> int:
    records = _Records(_named(options.file), file, beginning)
    try:
        if options.pcap is not None:
            _convert(options, output, records)
        else:
            _print(options, output, records)
    except VersionError as problem:
        raise ConfigError(
            str(problem), file=_named(options.file), advice="Read it with a newer chatcore"
        ) from None
    for damage in records.damages:
        if not output.as_json:
            output.note(
                f"chatcore: {_named(options.file)}: damaged at offset {damage.offset}: "
                f"{damage.why}; {damage.size} bytes were left out"
            )
    return FAILED if records.damages else DONE


def _print(options: argparse.Namespace, output: Output, records: _Records) -> None:
    given = dictionary_of(options)

    @cache
    def speaks(dialect: str) -> Dictionary:
        if dialect != CHATCORE:
            return given
        known = Dictionary([importlib.import_module(CHATCORE_COMMANDS)])
        known.commands |= given.commands
        return known

    exchange = exchange_of(options, given)
    printer = Printer(output, choice_of(options))
    for seen in messages(records, exchange, speaks):
        printer.tell(seen)
        if output.reader_is_gone:
            return
    output.say(_summary(exchange.totals))


def _convert(options: argparse.Namespace, output: Output, records: _Records) -> None:
    packets, count = Packets(), 0
    with _written(options.pcap) as file:
        file.write(head())
        for record in records:
            if not isinstance(record, Damage):
                for packet in packets.of(record):
                    file.write(packet)
                    count += 1
    output.line({"pcap": options.pcap, "packets": count})
    output.say(f"{count} packets are in {options.pcap}")


class _Records:
    """The records of a file, which has at least one."""

    def __init__(self, name: str, file: BinaryIO, beginning: bytes) -> None:
        self.damages: list[Damage] = []
        self._name, self._file, self._beginning = name, file, beginning

    def __iter__(self) -> Iterator[Record | Damage]:
        found = False
        for record in _explained(self._name, read(self._file, self._beginning)):
            if isinstance(record, Damage):
                self.damages.append(record)
            elif not found:
                found = True
                yield from self.damages
            if found:
                yield record
        if not found:
            raise ConfigError(
                "is no capture, or an empty one",
                file=self._name,
                advice="'chatcore inspect decode' reads plain AMP",
            )


def _explained(name: str, records: Iterable[Record | Damage]) -> Iterator[Record | Damage]:
    try:
        yield from records
    except OSError as problem:
        raise ConfigError(f"can't be read: {problem.strerror}", file=name) from None


def _chunks(file: BinaryIO, beginning: bytes) -> Iterator[bytes]:
    if beginning:
        yield beginning
    while data := _read(file):
        yield data


def _beginning(file: BinaryIO) -> bytes:
    """Enough of a file to know what it is; no more than is there at once."""
    data = _read(file)
    while data and len(data) < len(MARKER) and MARKER.startswith(data):
        more = _read(file)
        if not more:
            break
        data += more
    return data


def _read(file: BinaryIO) -> bytes:
    try:
        return file.read1(CHUNK)  # type: ignore[attr-defined,no-any-return]  # all of ours have it
    except OSError as problem:
        raise ConfigError(f"the input can't be read: {problem.strerror}") from None


@contextmanager
def _opened(name: str) -> Iterator[BinaryIO]:
    if name == STDIN:
        if sys.stdin is None:
            raise ConfigError("there is no standard input", advice="Name a file")
        yield sys.stdin.buffer
        return
    try:
        file = os.fdopen(os.open(name, os.O_RDONLY), "rb")
    except OSError as problem:
        raise ConfigError(f"can't be read: {problem.strerror}", file=name) from None
    with file:
        yield file


@contextmanager
def _written(name: str) -> Iterator[BinaryIO]:
    """A file that only its owner may read, and that is there when all of it is."""
    beside = Path(f"{name}.new")
    try:
        fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(fd, "wb") as file:
            yield file
        beside.replace(name)
    except OSError as problem:
        raise ConfigError(f"can't be written: {problem.strerror}", file=name) from None
    finally:
        beside.unlink(missing_ok=True)


def _named(name: str) -> str:
    return "the standard input" if name == STDIN else name


def _summary(totals: Totals) -> str:
    counts = {
        "boxes": totals.boxes,
        "asks": totals.asks,
        "answers": totals.answers,
        "errors": totals.errors,
        "asks without an answer": totals.unanswered,
        "asks forgotten before they were answered": totals.forgotten,
        "bytes not seen": totals.missed,
        "bytes that are no boxes": totals.garbage,
    }
    return ", ".join(
        f"{what}: {count}" for what, count in counts.items() if count or what == "boxes"
    )
