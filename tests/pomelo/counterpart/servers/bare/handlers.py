from zope.interface import implementer

from ..probing import IProbing, Probing


class IBareHandler(IProbing): ...


@implementer(IBareHandler)
class BareHandler(Probing): ...
