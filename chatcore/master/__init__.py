"""Starting and supervising the nodes of an application, and serving its page."""
