"""From a route to a method, and back to a reply."""
