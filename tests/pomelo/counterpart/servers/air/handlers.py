from zope.interface import implementer

from ..probing import IProbing, Probing


class IAirHandler(IProbing): ...


@implementer(IAirHandler)
class AirHandler(Probing): ...
