"""Fetching a task's files: the handler protocol, the registry of handlers, the http handler."""

from orderctl.downloads.protocol import Context, Delivery, Enrollment, Handler, RemoteFile

__all__ = ["Context", "Delivery", "Enrollment", "Handler", "RemoteFile"]
