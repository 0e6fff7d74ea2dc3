"""Our own server: an ASGI application (app), the model's life (life) and the process around them (run)."""
