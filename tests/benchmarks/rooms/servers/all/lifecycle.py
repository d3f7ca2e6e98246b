"""Each server notes how long its reactor was held up."""

import os
import time
from pathlib import Path

from twisted.internet import reactor

from chatcore.interfaces import IApplication

INTERVAL = 0.005
"""Seconds between two looks at the clock."""

WORTH_NOTING = 0.02
"""Seconds by which a look has to be late."""


def before_startup(app: IApplication) -> None:
    file = Path(os.environ["HELD_UP_FOLDER"]) / app.server_id

    def look(since: float, used: float) -> None:
        now = time.monotonic()
        # What others took of the machine is nobody's fault here.
        late = min(now - since - INTERVAL, time.process_time() - used)
        if late > WORTH_NOTING:
            with file.open("a") as notes:
                notes.write(f"{now} {late}\n")
        again()

    def again() -> None:
        reactor.callLater(  # type: ignore[attr-defined]
            INTERVAL, look, time.monotonic(), time.process_time()
        )

    again()
