from twisted.application.service import ServiceMaker

chatnode = ServiceMaker("chatnode", "chatcore.tap", "One chatcore node.", "chatnode")
chatpage = ServiceMaker("chatpage", "chatcore.master.page", "A chat's web page.", "chatpage")
chatmaster = ServiceMaker(
    "chatmaster", "chatcore.master.chatmaster", "The master of a chatcore cluster.", "chatmaster"
)
