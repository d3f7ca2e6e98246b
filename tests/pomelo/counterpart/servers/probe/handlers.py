from zope.interface import implementer

from ..probing import IProbing, Probing


class IProbeHandler(IProbing): ...


@implementer(IProbeHandler)
class ProbeHandler(Probing): ...
