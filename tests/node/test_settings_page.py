"""The page of all settings."""

from running import ROOT

from chatcore.config.settings import describe
from chatcore.master.settings import OF_START
from chatcore.node import SECTIONS


def test_docs_list_every_setting_as_it_is() -> None:
    page = (ROOT / "docs" / "settings.md").read_text()
    assert describe({**SECTIONS, **OF_START}).strip() in page
