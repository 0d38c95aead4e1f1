"""How a task's files are fetched: the handler protocol, the registry, the http handler."""

from orderctl.downloads.protocol import Context, Delivery, Enrollment, Handler, RemoteFile

__all__ = ["Context", "Delivery", "Enrollment", "Handler", "RemoteFile"]
