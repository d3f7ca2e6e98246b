"""The files of a certificate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where a certificate and what belongs to it are.

    Args:
        certificate: its file; certificates between it and the authority may follow in it.
        key: the file of its private key.
        chain: the file of the certificates between it and the authority, if they are not there.
    """

    certificate: Path
    key: Path
    chain: Path | None = None

    def __iter__(self) -> Iterator[Path]:
        return iter(file for file in (self.certificate, self.key, self.chain) if file is not None)

    def seen_from(self, folder: Path) -> TlsFiles:
        """The same files, those included whose paths are relative to a folder."""
        chain = None if self.chain is None else folder / self.chain
        return TlsFiles(folder / self.certificate, folder / self.key, chain)
