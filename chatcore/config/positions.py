"""JSON files whose values know the line and column they stand at.

The standard decoder checks the text and makes the values. A second pass over its tokens then notes
where each key and list element begins, and refuses what the decoder lets through: duplicate keys,
NaN and infinities, halves of surrogate pairs, and nesting that nobody writes by hand.
"""

from __future__ import annotations

import json
import math
import os
import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chatcore.errors import ConfigError

Where = tuple[str | int, ...]
"""The keys and indexes that lead from the top of a document to a value."""

MAX_DEPTH = 64
MAX_BYTES = 16 * 1024 * 1024

_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],:]|[^\s{}\[\],:"]+')
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Document:
    """A JSON file that was read.

    Args:
        file: where it was read from.
        value: what it holds.
        text: the characters it is made of.
        offsets: where each key of an object and each element of a list begins in ``text``.
    """

    file: Path
    value: Any
    text: str
    offsets: Mapping[Where, int]

    def place(self, where: Where) -> tuple[int, int]:
        """Return the line and column, both from 1, at which ``where`` begins.

        For a member of an object that is where its key stands. What does not exist is placed at
        the nearest thing around it that does.
        """
        while where and where not in self.offsets:
            where = where[:-1]
        return _line_and_column(self.text, self.offsets.get(where, 0))

    def error(self, problem: str, where: Where = (), *, advice: str | None = None) -> ConfigError:
        """Make the error that says ``problem`` about what stands at ``where``."""
        line, column = self.place(where)
        return ConfigError(problem, file=self.file, line=line, column=column, advice=advice)


def read_json(file: Path) -> Document:
    """Read a JSON file written by a person.

    Args:
        file: what to read; UTF-8, with or without a byte order mark.

    Raises:
        ConfigError: it can't be read, is not UTF-8 or not JSON, has a key twice in one object, or
            holds something that JSON has no word for.
    """
    text = _decode(file, _read(file))

    def refuse(offset: int, problem: str, advice: str | None = None) -> ConfigError:
        line, column = _line_and_column(text, offset)
        return ConfigError(problem, file=file, line=line, column=column, advice=advice)

    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise refuse(error.pos, *_explain(text, error)) from None
    except RecursionError:
        raise ConfigError(
            "nested too deeply", file=file, advice=f"At most {MAX_DEPTH} levels are read"
        ) from None
    except ValueError as error:
        raise ConfigError(f"not usable JSON: {error}", file=file) from None
    return Document(file, value, text, _offsets(text, refuse))


def find_json(app: Path, env: str, name: str, given: str = "") -> Document | None:
    """Read a JSON file of an application: the environment's own, or else the one for all.

    Args:
        app: the application folder.
        env: the environment, as in ``development``.
        name: the file, as in ``dictionary.json``.
        given: another file that is wanted instead, seen from the application folder.

    Returns:
        What is in ``config/<environment>/<name>``, or in ``config/<name>``; None: there is neither.

    Raises:
        ConfigError: as `read_json` does.
    """
    if given:
        return read_json(app / given)
    for file in (app / "config" / env / name, app / "config" / name):
        if os.path.lexists(file):
            return read_json(file)
    return None


def _read(file: Path) -> bytes:
    try:
        mode = file.stat().st_mode
        if stat.S_ISDIR(mode):
            raise ConfigError("is a folder, where a JSON file was expected", file=file)
        if not stat.S_ISREG(mode):
            raise ConfigError("is not a regular file", file=file)
        with file.open("rb") as opened:
            data = opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(
            f"can't be read: {error.strerror or error}",
            file=file,
            advice="Check that it exists and that you may read it",
        ) from error
    if len(data) > MAX_BYTES:
        raise ConfigError(f"is larger than {MAX_BYTES} bytes", file=file)
    return data


def _decode(file: Path, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = error.object[: error.start]
        line_start = before.rfind(b"\n") + 1
        raise ConfigError(
            f"not UTF-8: the byte 0x{error.object[error.start]:02x} has no meaning here",
            file=file,
            line=before.count(b"\n") + 1,
            column=len(before[line_start:].decode("utf-8-sig", "replace")) + 1,
            advice="Save the file as UTF-8",
        ) from None


def _explain(text: str, error: json.JSONDecodeError) -> tuple[str, str | None]:
    if not text.strip():
        return "not JSON: the file is empty", None
    here = text[error.pos : error.pos + 1]
    before = text[: error.pos].rstrip()[-1:]
    advice = None
    if (before == "," and here in ("}", "]")) or here == ",":
        advice = "Remove the comma that nothing follows"
    elif here == "'":
        advice = "JSON puts names and texts in double quotes"
    elif here in ("/", "#"):
        advice = "JSON has no comments: remove it"
    elif error.msg.startswith("Expecting ',' delimiter") and here in ('"', "{", "["):
        advice = "Put a comma between this and what stands before it"
    return f"not JSON: {error.msg[:1].lower()}{error.msg[1:]}", advice


def _offsets(text: str, refuse: Callable[..., ConfigError]) -> dict[Where, int]:
    """Note where everything begins in ``text``, which the decoder has found to be JSON."""
    offsets: dict[Where, int] = {}
    path: list[str | int] = []
    open_brackets: list[str] = []
    key_comes = False
    for token in _TOKEN.finditer(text):
        word, offset = token.group(), token.start()
        if word == ":":
            continue
        if word == ",":
            key_comes = open_brackets[-1] == "{"
            if not key_comes:
                path[-1] = int(path[-1]) + 1
            continue
        if word in ("}", "]"):
            open_brackets.pop()
            path.pop()
            key_comes = False
            continue
        if word[0] == '"' and _SURROGATE.search(json.loads(word)):
            raise refuse(offset, "holds half of a surrogate pair, which is not a character")
        if key_comes:
            path[-1] = json.loads(word)
            first = offsets.setdefault(tuple(path), offset)
            if first != offset:
                line, _ = _line_and_column(text, first)
                raise refuse(
                    offset,
                    f"the key {word} stands here for the second time in one object",
                    f"Remove it here or in line {line}",
                )
            key_comes = False
            continue
        offsets.setdefault(tuple(path), offset)
        if word in ("{", "["):
            if len(open_brackets) == MAX_DEPTH:
                raise refuse(offset, "nested too deeply", f"At most {MAX_DEPTH} levels are read")
            open_brackets.append(word)
            path.append(0)
            key_comes = word == "{"
        elif word[0] in "-0123456789NI" and not math.isfinite(float(word)):
            raise refuse(offset, f"{word[:20]} is not a number that JSON or chatcore can hold")
    return offsets


def _line_and_column(text: str, offset: int) -> tuple[int, int]:
    line_start = text.rfind("\n", 0, offset) + 1
    return text.count("\n", 0, offset) + 1, offset - line_start + 1
