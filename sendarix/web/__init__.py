"""The HTTP edge: how bytes become requests for the WSGI application."""
