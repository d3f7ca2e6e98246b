from collections import Counter

from chatcore.application import serial, time_log, timeout, too_busy
from chatcore.interfaces import IConfigurator

from .filters import Signed, count, explain, members_only


def configure(app: IConfigurator) -> None:
    app.data["asked"] = Counter()
    app.global_filter(too_busy())
    app.global_before(members_only)
    app.global_after(count)

    @app.configure(type="kitchen")
    def kitchen() -> None:
        app.filter(serial())
        app.filter(timeout(0.5))
        app.filter(time_log())
        app.filter(Signed())
        app.error_handler(explain)
