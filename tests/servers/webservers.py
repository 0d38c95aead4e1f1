"""Web servers that course owners use, each on a port of its own: nginx, Apache, Caddy, Python's http.server."""

import gzip
import hashlib
import json
import os
import random
import socket
import sys
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

from tests.servers import debs
from tests.servers.process import Server, short_folder
from tests.servers.programs import find_or_fetch

_TEXT = b"What you will learn: to test with real servers. " * 400
#: Bytes of the file that is broken off in the middle.
LARGE = 5_000_000
#: A moment in the past: Apache's ETag of a file that was changed within the last second is a weak one.
_MODIFIED = 1_700_000_000


def course_files() -> dict[str, bytes]:
    """Return the files of a course, by names as course owners choose them."""
    dice = random.Random(1)
    archive = b"\x1f\x8b\x08\0\0\0\0\0\0\x03" + dice.randbytes(20_000)
    return {
        "lesson 1.mp4": dice.randbytes(LARGE),
        "Bài giảng số 1 — mở đầu.mp4": dice.randbytes(30_000),
        "übung (1).pdf": b"%PDF-1.7\n" + dice.randbytes(10_000),
        "100% & more + co.txt": _TEXT,
        "a+b=c;d,e'f@g!$.bin": dice.randbytes(100),
        "#1 ~x[0].bin": dice.randbytes(100),
        "100%25.bin": dice.randbytes(100),
        "plain.txt": _TEXT,
        "style.css": _TEXT,
        "data.json": json.dumps({"lessons": ["x" * 50] * 100}).encode(),
        "notes.html": b"<!DOCTYPE html><p>Notes</p>" * 100,
        "logo.svgz": archive,
        "code.tar.gz": archive,
        "code.tgz": archive,
        "code.gz": archive,
        "code.tar.bz2": b"BZh9" + dice.randbytes(5_000),
        "code.br": dice.randbytes(5_000),
        "code.Z": b"\x1f\x9d" + dice.randbytes(5_000),
        "movie.vi.srt": _TEXT,
        "page.html.vi": dice.randbytes(1000),
        "empty.bin": b"",
        "README": _TEXT,
    }


def lay_out() -> Path:
    """Write the files of a course, a manifest of them and gzipped siblings of some into a new folder."""
    folder = short_folder() / "courses"
    files = course_files()
    entries = [
        {"url": quote(name), "size": len(body), "sha256": hashlib.sha256(body).hexdigest()}
        for name, body in files.items()
    ]
    manifest = json.dumps({"title": "Real servers", "files": entries}).encode()
    siblings = {f"{name}.gz": gzip.compress(files[name], mtime=0) for name in ("plain.txt", "style.css")}
    folder.mkdir()
    for place in (folder, folder.parent, folder.parent.parent):
        place.chmod(place.stat().st_mode | 0o011)  # Apache does not serve as root
    for name, body in (files | siblings | {"course.json": manifest}).items():
        (folder / name).write_bytes(body)
        os.utime(folder / name, (_MODIFIED, _MODIFIED))
    return folder


class WebServer(Server):
    """A web server that serves a folder.

    Args:
        root: The folder.

    Attributes:
        resumes: Whether it can send the rest of a file.
    """

    patience = 30.0
    resumes: ClassVar[bool] = True

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.root = root

    @property
    def url(self) -> str:
        """Its address without a slash at its end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def config(self) -> Path:
        """Its configuration."""
        return self.folder / "config"

    def ping(self) -> None:
        """Connect: another program may have taken the port, but then the server ends."""
        self._knock()

    def _knock(self) -> None:
        socket.create_connection(("127.0.0.1", self.port), 1).close()


_NGINX = """
{user}
daemon off; master_process off; pid {folder}/pid; error_log stderr;
events {{}}
http {{
  access_log off;
  {places}
  types {{
    text/html html; text/css css; text/plain txt srt; application/json json; video/mp4 mp4; application/pdf pdf;
    image/svg+xml svg svgz;
  }}
  default_type application/octet-stream;
  charset utf-8;
  gzip on; gzip_min_length 100; gzip_types text/css text/plain application/json; gzip_static on;
  limit_req_zone $server_addr zone=few:64k rate=1r/m;
  limit_req_zone $server_addr zone=fewer:64k rate=1r/m;
  server {{
    listen 127.0.0.1:{port};
    location / {{ root {root}; }}
    location /no-ranges/ {{ alias {root}/; max_ranges 0; }}
    location /one-range/ {{ alias {root}/; max_ranges 1; }}
    location /no-etag/ {{ alias {root}/; etag off; }}
    location /gzipped/ {{ alias {root}/; gzip_static always; }}
    location /as-page/ {{ alias {root}/; types {{ }} default_type text/html; }}
    location /few/ {{ alias {root}/; limit_req zone=few; limit_req_status 429; add_header Retry-After 7 always; }}
    location /fewer/ {{ alias {root}/; limit_req zone=fewer; }}
    location /private/ {{ alias {root}/; auth_basic "Courses"; auth_basic_user_file {folder}/users; }}
    location /filtered/ {{ alias {root}/; sub_filter "no such words" "none"; sub_filter_types *; }}
    location /app/ {{ alias {root}/; try_files $uri /notes.html; }}
    location /named {{
      alias {root}/plain.txt;
      add_header Content-Disposition "attachment; filename=\\"bai.txt\\"; filename*=UTF-8''b%C3%A0i%201.txt";
    }}
    location /signed/ {{
      if ($http_cookie !~ "seen=1") {{ add_header Set-Cookie "seen=1; Path=/" always; return 302 $request_uri; }}
      alias {root}/;
    }}
  }}
}}
"""


class Nginx(WebServer):
    """nginx with its usual traps; see its configuration for the paths."""

    def __init__(self, root: Path) -> None:
        self._program = find_or_fetch("nginx", "nginx")
        super().__init__(root)
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        places = " ".join(f"{kind}_temp_path {self.folder}/{kind};" for kind in kinds)
        user = "user root;" if os.geteuid() == 0 else ""
        text = _NGINX.format(user=user, folder=self.folder, places=places, port=self.port, root=root)
        self.config.write_text(text)
        (self.folder / "users").write_text("stu@dent:{PLAIN}pa/ss %1\n")

    def command(self) -> list[str]:
        """Return the program and its arguments."""
        return [str(self._program), "-e", "stderr", "-p", str(self.folder), "-c", str(self.config)]


_APACHE = """
ServerRoot {folder}
ServerName 127.0.0.1
Listen 127.0.0.1:{port}
PidFile {folder}/pid
DefaultRuntimeDir {folder}
Mutex file:{folder}
ErrorLog {folder}/log
{user}
{modules}
StartServers 1
MinSpareThreads 1
ThreadsPerChild 8
TypesConfig {folder}/types
AddEncoding x-gzip .gz .tgz .svgz
AddEncoding x-compress .Z
AddEncoding br .br
AddLanguage vi .vi
AddDefaultCharset UTF-8
DocumentRoot {root}
AddOutputFilterByType DEFLATE text/plain text/css application/json
<Directory {root}>
  Options +MultiViews
  Require all granted
</Directory>
Alias /no-ranges {root}
<Location /no-ranges>
  MaxRanges none
</Location>
Alias /gzipped {root}
<Location /gzipped>
  SetEnv force-gzip
</Location>
Alias /as-page {root}
<Location /as-page>
  ForceType text/html
</Location>
"""
_MODULES = "mpm_event authz_core mime alias dir env filter deflate negotiation"


class Apache(WebServer):
    """Apache httpd as Debian sets it up, with the encodings of old."""

    def __init__(self, root: Path) -> None:
        self._program, modules = _find_apache()
        super().__init__(root)
        lines = (f"LoadModule {name}_module {modules}/mod_{name}.so" for name in _MODULES.split())
        user = "User #65534\nGroup #65534" if os.geteuid() == 0 else ""  # it refuses to serve as root
        text = _APACHE.format(
            folder=self.folder, port=self.port, root=root, user=user, modules="\n".join(lines)
        )
        self.config.write_text(text)
        types = ("text/html html", "text/css css", "text/plain txt", "video/mp4 mp4", "application/json json")
        (self.folder / "types").write_text(
            "\n".join((*types, "application/x-gzip tgz", "image/svg+xml svgz", ""))
        )

    def command(self) -> list[str]:
        """Return the program and its arguments."""
        return [str(self._program), "-X", "-f", str(self.config)]


def _find_apache() -> tuple[Path, Path]:
    """Return the program, and the folder of its modules."""
    program = find_or_fetch("apache2", "apache2-bin")
    installed = Path("/usr/lib/apache2/modules")
    cached = debs.cache_folder() in program.parents
    return program, debs.fetch("apache2-bin") / installed.relative_to("/") if cached else installed


_CADDY = """
{{
  admin off
  auto_https off
  storage file_system {folder}
  log {{
    level ERROR
  }}
}}
http://127.0.0.1:{port} {{
  bind 127.0.0.1
  root * {root}
  encode gzip
  handle_path /gzipped/* {{
    file_server
  }}
  file_server {{
    precompressed gzip
  }}
}}
"""


class Caddy(WebServer):
    """Caddy with compression, and with files that are compressed already."""

    def __init__(self, root: Path) -> None:
        self._program = find_or_fetch("caddy", "caddy")
        super().__init__(root)
        self.config.write_text(_CADDY.format(folder=self.folder, port=self.port, root=root))

    def command(self) -> list[str]:
        """Return the program and its arguments."""
        places = [f"{name}={self.folder}" for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME")]
        config = ["--adapter", "caddyfile", "--config", str(self.config)]
        return ["/usr/bin/env", *places, str(self._program), "run", *config]


class PythonServer(WebServer):
    """Python's http.server, which knows no ranges and no ETags."""

    resumes = False
    protocol: ClassVar[str] = "HTTP/1.0"

    def command(self) -> list[str]:
        """Return the program and its arguments."""
        place = ["--bind", "127.0.0.1", "--directory", str(self.root), "--protocol", self.protocol]
        return [sys.executable, "-m", "http.server", str(self.port), *place]


class KeepingPythonServer(PythonServer):
    """The same, with HTTP/1.1 and kept connections."""

    protocol = "HTTP/1.1"
