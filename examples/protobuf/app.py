from chatcore.interfaces import IConfigurator


def configure(app: IConfigurator) -> None:
    @app.configure(type="small")
    def small() -> None:
        app.set("connector.dictionary", True)
        app.set("connector.protobuf", True)
