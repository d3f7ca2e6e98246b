from chatcore.interfaces import IConfigurator


def configure(app: IConfigurator) -> None:
    app.set("sessions.per_uid", "takeover")
    app.set("sessions.scope", "cluster")  # whichever door somebody comes through
