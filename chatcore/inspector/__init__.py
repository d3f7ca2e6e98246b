"""Looking at the traffic of AMP peers: chatcore's nodes, and any others."""
