from chatcore.interfaces import IConfigurator

from .plugins import seen


def configure(app: IConfigurator) -> None:
    app.use(seen, most=2)
