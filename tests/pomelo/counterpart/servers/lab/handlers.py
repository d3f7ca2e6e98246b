from zope.interface import implementer

from ..probing import IProbing, Probing


class ILabHandler(IProbing): ...


@implementer(ILabHandler)
class LabHandler(Probing): ...
