from zope.interface import implementer

from ..probing import IProbing, Probing


class ISealedHandler(IProbing): ...


@implementer(ISealedHandler)
class SealedHandler(Probing): ...
