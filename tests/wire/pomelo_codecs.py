"""Pomelo's own codecs in one process of Node, asked line by line, and what to ask them about."""

from __future__ import annotations

import json
import os
import select
import struct
import subprocess
from pathlib import Path
from random import Random
from typing import Any

from npm import npm_packages

PACKAGES = {
    "pomelo": "2.2.7",
    "pomelo-protobuf": "0.4.0",
    "pomelo-protocol": "0.1.6",
    "pinus-protobuf": "1.7.4",
}
ANSWER_SECONDS = 60


class Codecs:
    """A running script of Node that answers questions about codecs.

    Args:
        script: the script; its arguments are ``codecs`` and the descriptor to answer on.
        codecs: where the codecs are.
    """

    def __init__(self, script: Path, codecs: Path) -> None:
        self._answers, theirs = os.pipe()
        self._process = subprocess.Popen(
            ["node", "--no-deprecation", script, codecs, str(theirs)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            pass_fds=(theirs,),
        )
        os.close(theirs)

    def ask(self, question: str, **arguments: Any) -> dict[str, Any]:
        """Call a function there; what it throws comes back as ``{"thrown": …}``."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"ask": question, **arguments}).encode() + b"\n")
        self._process.stdin.flush()
        answer = bytearray()
        while not answer.endswith(b"\n"):
            ready, _, _ = select.select([self._answers], [], [], ANSWER_SECONDS)
            assert ready, f"no answer to {question} {arguments}"
            read = os.read(self._answers, 1 << 20)
            assert read, f"Node died of {question} {arguments}"
            answer += read
        value: dict[str, Any] = json.loads(answer, object_hook=_revived, parse_int=_number)
        return value

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()
        os.close(self._answers)


class PomeloCodecs(Codecs):
    """A running ``pomelo_codecs.js``."""

    def __init__(self) -> None:
        super().__init__(Path(__file__).with_suffix(".js"), npm_packages(PACKAGES))


def _number(digits: str) -> float:
    """JavaScript writes large numbers with digits that they don't have."""
    return int(digits) if abs(int(digits)) <= 2**53 else float(digits)


def _revived(value: dict[str, Any]) -> Any:
    return float(value["$"].replace("Infinity", "inf")) if value.keys() == {"$"} else value


def the_same(one: Any, other: Any) -> bool:
    """Equal, and NaN where the other has NaN."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(the_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(the_same, one, other))
    return one == other or (one != one and other != other)


NUMBERS = [0, 1, 2, 127, 128, 300, 16383, 16384, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**53 - 1]
SIGNED = [*NUMBERS, *(-number for number in NUMBERS[:-1]), -(2**31), -(2**31) - 1, -(2**52)]
REALS = [0.0, -0.0, 1.5, 0.1, -1e-7, 1e21, 1e38, 3.4e38, 5e-324, 1.7e308, 2.0**60, 123456.789]
TEXTS = ["", "a", "alice", "hé中", "😀", "a😀b\U0010ffff", "x" * 130, "\0\n\x7f\u2028", "￿中" * 60]
POMELOS = ("uInt32", "int32", "sInt32", "float", "double", "string")
PINUS = (*POMELOS, "uInt64", "sInt64", "bool")
FIELDS = ["msg", "from", "to", "名", "x-y", "a.b", "length", "1", "10", "2", "01"]
MESSAGES = ["P", "Person", "Q", "7"]
TAGS = [*range(1, 18), 100, 2047, 2048, 2**20, 2**28 - 1]

Declared = dict[str, Any]


class Inventor:
    """Schemas and values that fit them, the same for the same seed."""

    def __init__(self, seed: int, types: tuple[str, ...] = POMELOS) -> None:
        self.random, self.types = Random(seed), types

    def schema(self) -> Declared:
        """A file's content: routes, and messages that they share."""
        shared = self.random.sample(MESSAGES, self.random.randrange(len(MESSAGES)))
        schema = {f"message {name}": self._message(shared, 2) for name in shared}
        for route in self.random.sample(["onChat", "r", "12", "chat.chatHandler.send"], 2):
            schema[route] = self._message(shared, 0)
        keys = list(schema)
        self.random.shuffle(keys)
        return {key: schema[key] for key in keys}

    def _message(self, known: list[str], depth: int) -> Declared:
        entries: list[tuple[str, Any]] = []
        inside: list[str] = []
        if depth < 2 and self.random.random() < 0.4:
            inside = self.random.sample(MESSAGES, self.random.randint(1, 2))
            entries += [(f"message {name}", self._message(known, depth + 1)) for name in inside]
        names = self.random.sample(FIELDS, self.random.randrange(6))
        for name, tag in zip(names, self.random.sample(TAGS, len(names)), strict=True):
            messages = [*known, *inside]
            if messages and self.random.random() < 0.3:
                option, type = self._option(["optional", "repeated"]), self._option(messages)
            else:
                option = self._option(["required", "optional", "repeated"])
                type = self._option(self.types)
            entries.append((f"{option} {type} {name}", tag))
        self.random.shuffle(entries)
        return dict(entries)

    def _option(self, options: Any) -> Any:
        return self.random.choice(options)

    def value(self, schema: Declared, message: str) -> tuple[Any, Any]:
        """A value for a message, and what its reader should get."""
        return self._value(schema, schema[message], 0)

    def _value(self, schema: Declared, message: Declared, depth: int) -> tuple[Any, Any]:
        value: dict[str, Any] = {}
        expected: dict[str, Any] = {}
        fields = [key.split(" ") for key in message if not key.startswith("message ")]
        self.random.shuffle(fields)
        for option, type, name in fields:
            if option != "required" and (depth > 3 or self.random.random() < 0.3):
                continue
            count = self.random.choice([0, 1, 2, 5, 130]) if option == "repeated" else 1
            if type not in self.types:
                count = min(count, 3)
            pairs = [self._item(schema, message, type, depth) for _ in range(count)]
            value[name] = [pair[0] for pair in pairs] if option == "repeated" else pairs[0][0]
            if pairs:
                expected[name] = (
                    [pair[1] for pair in pairs] if option == "repeated" else pairs[0][1]
                )
        if self.random.random() < 0.2:
            value[self.random.choice(["unknown", "toString"])] = [{"x": 1}]
        return value, expected

    def _item(self, schema: Declared, message: Declared, type: str, depth: int) -> tuple[Any, Any]:
        random = self.random
        if type in ("uInt32", "uInt64"):
            return self._number(random.choice([*NUMBERS, random.randrange(2**40)]))
        if type in ("int32", "sInt32", "sInt64"):
            return self._number(random.choice([*SIGNED, random.randrange(-(2**40), 2**40)]))
        if type == "bool":
            value = random.random() < 0.5
            return value, value
        if type == "string":
            text = random.choice(TEXTS)
            return text, text
        if type in ("float", "double"):
            real = random.choice([*REALS, random.uniform(-1e6, 1e6)])
            if type == "double":
                return real, real
            return self._float(real)
        inner = message.get(f"message {type}", schema.get(f"message {type}"))
        return self._value(schema, inner, depth + 1)

    def _number(self, number: int) -> tuple[Any, int]:
        """As it is, as text, or with a fraction that is cut off."""
        chance = self.random.random()
        if chance < 0.1:
            return str(number), number
        if chance < 0.2 and abs(number) < 2**40:
            return number + (0.5 if number >= 0 else -0.5), number
        return number, number

    def _float(self, real: float) -> tuple[float, float]:
        try:
            return real, struct.unpack("<f", struct.pack("<f", real))[0]
        except OverflowError:
            return real, float("inf") if real > 0 else float("-inf")
