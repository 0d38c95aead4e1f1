"""No secret leaves orderctl, whatever fails and whoever asks: it stands in the settings and in its task's row only."""

import json
import logging
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, suppress
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import redis
from websockets.sync.client import ClientConnection, connect

from orderctl import environment, setting_sections, settings
from orderctl.cli.log_lines import Masking
from orderctl.progress import ProgressEmitter
from orderctl.worker import attempt, courier
from orderctl.worker.heartbeat import StopRequest
from tests.canaries import Canaries
from tests.cli.conftest import Program
from tests.faults.receivers import Listener
from tests.script import SCRIPT
from tests.servers import parrots
from tests.servers.parrots import Parrot
from tests.shop import Shop
from tests.waiting import eventually

FORMS = ("table", "wide", "json", "jsonl", "csv", "tsv", "markdown", "name")


class Exploding:
    """A handler that fails with whatever a library could say of the course's URL."""

    def __init__(self, secret: str) -> None:
        self.secret = secret

    def enroll(self, context: Any) -> Any:
        path = context.course_url.partition("://")[2].partition("/")[2]
        logging.getLogger("urllib3").debug('"GET /%s HTTP/1.1" 401', path)
        cause = ValueError(f"Max retries exceeded with url: /{path} (u: {context.course_url!r})")
        headers = {"Authorization": f"Basic {self.secret}", "Cookie": f"session={self.secret}"}
        raise ConnectionError(f"denied {context.course_url}: {headers}") from cause


class Books:
    """What the whole system wrote, by place."""

    def __init__(self, canaries: Canaries) -> None:
        self.canaries = canaries
        self.found: list[str] = []

    def look(self, place: str, *texts: object) -> None:
        for one in texts:
            self.found += self.canaries.found(place, one if isinstance(one, str) else repr(one))


@pytest.fixture
def log() -> Iterator[StringIO]:
    """The log of this process, as ``-v`` writes it."""
    stream, handler = StringIO(), logging.StreamHandler()
    handler.setStream(stream)
    handler.setFormatter(Masking("%(levelname)s %(message)s"))
    before = logging.root.level
    logging.root.addHandler(handler)
    logging.root.setLevel(logging.DEBUG)
    yield stream
    logging.root.removeHandler(handler)
    logging.root.setLevel(before)


@pytest.mark.databases("sqlite")
def test_no_secret_leaves_the_system(
    inside: Program, shop: Shop, own_redis: Any, home: Path, monkeypatch: pytest.MonkeyPatch, log: StringIO
):
    canaries = Canaries()
    books = Books(canaries)
    of_redis, of_answers = canaries.plant("redis.url"), canaries.plant("URLs in answers of a course server")
    server = own_redis()
    client = redis.Redis.from_url(server.url)
    client.config_set("requirepass", of_redis.text)
    client.close()
    url = server.url.replace("://", f"://:{of_redis.quoted}@")
    client = redis.Redis.from_url(url)
    with (
        Parrot(parrots.course(of_answers.quoted)) as course,
        Parrot(parrots.webhook) as hook,
        Parrot(parrots.mail) as post,
        closing(client),
    ):
        planted = {
            "redis.url": url,
            "mail.url": f"smtp://shop:{canaries.plant('mail.url').quoted}@{post.address}",
            "notify.webhook_url": "http://u:{}@{}/{}?token={}".format(
                canaries.plant("user of notify.webhook_url").quoted,
                hook.address,
                canaries.plant("path of notify.webhook_url").quoted,
                canaries.plant("query of notify.webhook_url").quoted,
            ),
            "notify.endpoint": json.dumps(
                [
                    {
                        "name": "crm",
                        "url": "http://{}@{}/{}".format(
                            canaries.plant("user of notify.endpoint").quoted,
                            hook.address,
                            canaries.plant("path of notify.endpoint").quoted,
                        ),
                        "secret": canaries.plant("secret of notify.endpoint").text,
                    }
                ]
            ),
            **{
                key: canaries.plant(key).text
                for key, item in setting_sections.declared().items()
                if item.secret and item.show is None
            },
            "mail.admin": "admin@example.com",
            "download.allow_private_hosts": "true",
            "worker.retry_transient": "false",
            "state_dir": str(home / "st"),
        }
        for key, value in planted.items():
            monkeypatch.setenv(environment.variable(key), value)
        monkeypatch.setenv("ORDERCTL_DEBUG", "1")
        loaded = settings.load()
        listener = Listener(url).start()

        tasks = _order_courses(shop, canaries, course.address, inside, books)
        old = _leave_old_rows(shop, canaries, tasks[0])
        _carry_out(shop, loaded, client, tasks, books)
        _report_failure(shop, loaded, canaries)
        _send(shop, loaded, client)
        said = {"taskId": tasks[0], "percent": 5, "currentFile": old, "timestamp": 1, "by": "old"}
        client.set(f"task:{tasks[0]}:progress", json.dumps(said).replace("/", "\\/"))  # as PHP writes it
        _start_processes(books, home, _token(inside), len(shop.tasks(shop.order().id)))
        _ask_everything(inside, books, tasks)

        listener.catch_up()
        listener.close()
        books.look("a channel", *listener.heard[:])
        _look_into_the_stores(shop, client, books)
        books.look(
            "a mail",
            "".join(post.heard),
            "".join(post.heard).replace("=\r\n", "").replace("=3D", "="),
        )
        books.look("a webhook's body", *[text for text in hook.heard if text.startswith("{")])
        books.look("the log", log.getvalue())

    assert "\n".join(books.found) == ""
    assert len(post.heard) > 40, "no mail was received"
    assert sum("order_failed" in text for text in hook.heard) >= 1
    assert "HTTP 404" in log.getvalue()


def _order_courses(shop: Shop, canaries: Canaries, address: str, inside: Program, books: Books) -> list[int]:
    """Add an order of courses whose URLs have secrets at all places, one for each way to fail."""
    courses: list[Any] = []
    for path in ("ok", "401", "404", "500", "garbage", "moved", "loop", "manifest", "html", "exploding"):
        user, query, mark = (
            canaries.plant(f"{what} of the course {path}").quoted for what in ("user", "query", "mark")
        )
        courses.append(f"http://u:{user}@{address}/{path}?X-Amz-Signature={query}&id={query}#{mark}")
    raw = canaries.plant("a user that is not escaped").text
    courses.append("http://127.0.0.1:1/raw")
    title = canaries.plant("a title")
    courses.append(
        {"url": "http://127.0.0.1:1/x", "title": f"the title http://u:{title.quoted}@h/x?sig={title.quoted}"}
    )
    order = {"order_code": "DH1", "user_email": "c@example.com", "total_amount": 1, "courses": courses}
    for wrong in (f"ftp://u:{raw}@h/x?{raw}", f"u:{raw}@h", {"url": courses[0], "title": f"{courses[0]}\0"}):
        ended = inside("orders", "add", "--json", _file(json.dumps(order | {"courses": [wrong]})))
        assert ended.status == 2
        books.look("orders add", ended.out, ended.err)
    ended = inside("orders", "add", "--json", _file(json.dumps(order)), "-o", "json")
    books.look("orders add", ended.out, ended.err)
    odd = f"http://u:{raw}@127.0.0.1:1/x?sig={raw}"  # as the shop may write it
    shop.execute("UPDATE download_tasks SET course_url = :odd WHERE course_url LIKE '%/raw'", odd=odd)
    ended = inside("orders", "pay", "DH1", "--amount", "1")
    books.look("orders pay", ended.out, ended.err)
    later = [
        url
        for url in courses
        if isinstance(url, str) and url.partition("?")[0].endswith(("ok", "404", "garbage"))
    ]
    shop.paid("DH3", later)
    return [task.id for task in shop.tasks(shop.order().id)]


def _file(content: str) -> str:
    path = Path(os.environ["HOME"]) / "document.json"
    path.write_text(content)
    return str(path)


def _leave_old_rows(shop: Shop, canaries: Canaries, task_id: int) -> str:
    """Write rows as earlier versions did, and return the URL in them."""
    order_id = shop.order().id
    secret = canaries.plant("what earlier versions wrote").quoted
    old = f"http://u:{secret}@h/x?sig={secret}"
    details = {"courseUrl": old, "error_message": f"with url: /x?sig={secret}", "deep": [{old: old}]}
    shop.record(
        order_id,
        "task_created",
        task_id=task_id,
        message=f"Task created: {old}",
        details=details,
        source="old",
    )
    shop.record(order_id, "old_failure", "error", message=old, source="old")
    add = """INSERT INTO download_tasks (order_id, course_url, title, status, error_log, managed, attempt, max_attempts)
        VALUES (:order_id, :old, :title, :status, :old, 0, 1, 1)"""
    shop.execute(add, order_id=order_id, old=old, title=old, status="failed")
    shop.execute(add, order_id=order_id, old=old, title=None, status="failed")
    put = """INSERT INTO orderctl_outbox (kind, dedup_key, payload, created_at, due_at, attempts, last_error)
        VALUES (:kind, :kind, :payload, '2026-01-01', '2026-01-01', 1, :old)"""
    alert = {
        "orderId": order_id,
        "taskId": task_id,
        "errorType": "NETWORK",
        "message": old,
        "fingerprint": "f",
    }
    for kind, payload in (
        ("webhook", {"event": "task_failed", "title": old, "error": old}),
        ("alert", alert),
    ):
        shop.execute(put, kind=kind, payload=json.dumps(payload), old=old)
    return old


def _carry_out(shop: Shop, loaded: Any, client: redis.Redis, tasks: list[int], books: Books) -> None:
    from orderctl.downloads.http import HttpHandler

    exploding = Exploding(books.canaries.plant("a header").text)
    for number, task_id in enumerate(tasks):
        handler = exploding if number >= 9 else HttpHandler()
        tools = attempt.Tools(loaded, shop.engine, "worker-1", handler, client, StopRequest())
        attempt.run(tools, task_id)
        while shop.task(task_id).status == "pending":
            shop.make_due(task_id)
            attempt.run(tools, task_id)


def _report_failure(shop: Shop, loaded: Any, canaries: Canaries) -> None:
    """Let a worker of the shop's report what its libraries say of a URL."""
    secret = canaries.plant("a URL of a shop's worker").quoted
    url = f"https://h/dir?sig={secret}"
    [task] = shop.paid("DH2", [url])
    with closing(ProgressEmitter(loaded)) as emitter:
        emitter.emit_progress(task, shop.order("DH2").id, 1, url, 5, at_once=True)
        emitter.emit_status_change(task, shop.order("DH2").id, "failed", "downloading", error=OSError(url))
        emitter.report_failure(
            task, shop.order("DH2").id, RuntimeError(f"{url}: the signature {secret} is wrong")
        )


def _send(shop: Shop, loaded: Any, client: redis.Redis) -> None:
    """Send what is in the outbox: the servers refuse at first, and one mail has been tried too often."""
    shop.execute("UPDATE orderctl_outbox SET attempts = 40 WHERE kind = 'summary' AND payload LIKE '%3%'")
    for _ in range(3):
        courier.send_due(shop.engine, client, loaded)
        shop.execute("UPDATE orderctl_outbox SET due_at = '2026-01-01' WHERE sent_at IS NULL")


def _start_processes(books: Books, home: Path, token: str, tasks: int) -> None:
    """Run a worker and a relay; look into their arguments and logs, and at what the relay says."""
    variables = {**os.environ, "ORDERCTL_RELAY_PORT": "0"}
    running, arguments = [], set[str]()

    def start(*command: str) -> subprocess.Popen[bytes]:
        with (home / f"log{len(running)}").open("wb") as file:
            running.append(subprocess.Popen([str(SCRIPT), *command], env=variables, stdout=file, stderr=file))
        return running[-1]

    try:
        start("-v", "relay", "start")
        eventually(lambda: "Listening" in (home / "log0").read_text(), "a relay")
        url = (home / "log0").read_text().partition("Listening on ")[2].split()[0]
        dashboard = Dashboard(books, url, token)
        with connect(f"{url.replace('http', 'ws')}/ws") as line:
            dashboard.subscribe(line, tasks)
            worker = start("-v", "worker", "start", "--burst")
            while worker.poll() is None:
                arguments |= set(_arguments())
                time.sleep(0.1)
            dashboard.hear(line)
        dashboard.ask()
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(20)
    logs = [(home / f"log{number}").read_text() for number in range(2)]
    books.look("the log of a process", *logs)
    books.look("the arguments of a process", *arguments)
    assert any("worker start --burst" in one.replace("\0", " ") for one in arguments)
    assert "HTTP 404" in logs[1]


def _arguments() -> Iterator[str]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield path.read_bytes().decode("utf-8", "replace")
        except OSError:
            continue


def _ask_everything(inside: Program, books: Books, tasks: list[int]) -> None:
    forms = {
        "orders list": FORMS,
        "orders show DH1": FORMS,
        "orders show DH1 --timeline": ("table",),
        "tasks list": FORMS,
        "tasks list --failed --group-by error": FORMS,
        f"tasks show {tasks[1]}": FORMS,
        f"tasks show {tasks[-1]}": ("table", "json"),
        "logs show DH1": FORMS,
        "logs errors": FORMS,
        "logs errors --since 1h": ("table", "json"),
        "logs search": FORMS,
        "logs summary": ("table",),
        "tail order DH1 --timeout 0s": ("table", "json"),
        f"tail task {tasks[0]} --timeout 0s": ("table", "json"),
        "config show": FORMS,
        "status": FORMS,
        "worker list": ("table", "json"),
        "worker rejected list": ("json",),
    }
    for command, wanted in forms.items():
        for form in wanted:
            ended = inside(*command.split(), "-o", form)
            books.look(f"{command} -o {form}", ended.out, ended.err)
            assert ended.status != 2 or "-o" in ended.err, (command, form, ended.err)
    for command in (
        "reconcile --check",
        "config check",
        "config check --connect",
        f"tasks retry {tasks[1]}",
        f"tasks cancel {tasks[1]}",
    ):
        ended = inside(*command.split())
        books.look(command, ended.out, ended.err)


def _token(inside: Program) -> str:
    ended = inside("relay", "token", "--scope", "admin", "-q")
    assert ended.status == 0
    return ended.out.strip()


class Dashboard:
    """A client of a relay that hears and asks for everything, over HTTP and ``/ws``."""

    def __init__(self, books: Books, url: str, token: str) -> None:
        self.books, self.url, self.token = books, url, token

    def subscribe(self, line: ClientConnection, tasks: int) -> None:
        """Subscribe to the first orders and tasks, and ask for what does not exist."""
        calls = [("auth", {"token": self.token}), ("nothing", {})]
        calls += [("subscribe:task", {"taskId": number}) for number in range(1, tasks + 1)]
        calls += [("subscribe:order", {"orderId": number}) for number in range(1, 4)]
        for number, (event, data) in enumerate(calls):
            line.send(json.dumps({"event": event, "data": data, "id": number}))

    def hear(self, line: ClientConnection) -> None:
        """Look at what has come, until nothing more does; progress and a status have to be among it."""
        heard: list[str] = []
        missing = {"currentFile", '"status"'}
        with suppress(TimeoutError):
            while True:
                heard.append(str(line.recv(timeout=20 if missing else 0.3)))
                missing -= {word for word in missing if word in heard[-1]}
        self.books.look("/ws of the relay", *heard)
        assert not missing, heard

    def ask(self) -> None:
        """Ask for every page of the API, and for some things that are refused."""
        paths = (
            "orders/paid?limit=50",
            "dashboard/stats",
            "errors",
            "payments?limit=50",
            "orders/1",
            "orders/1/logs?limit=500",
            "x",
        )
        for path in (*(f"/api/admin/{path}" for path in paths), "/metrics", "/healthz", "/x", "/api/session"):
            answers = [self._get(path, self.token), self._get(path, "wrong")]
            self.books.look(f"the relay's {path}", *(repr(answer) for answer in answers))
            assert answers[0][0] == (404 if path.endswith("x") else 200), (path, answers)

    def _get(self, path: str, token: str) -> tuple[int, str, str]:
        request = urllib.request.Request(self.url + path, headers={"Authorization": f"Bearer {token}"})
        try:
            answer = urllib.request.urlopen(request, timeout=10)
        except urllib.error.HTTPError as refused:
            answer = refused
        with answer:
            return answer.status, str(answer.headers), answer.read().decode()


def _look_into_the_stores(shop: Shop, client: redis.Redis, books: Books) -> None:
    """Look into all tables, except the URLs and given titles of tasks and the rows of earlier versions, and into Redis."""
    with shop.engine.connect() as connection:
        tables = (
            connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").scalars().all()
        )
        for table in tables:
            for row in connection.exec_driver_sql(f"SELECT * FROM {table}").mappings():
                kept = {"course_url"} if table == "download_tasks" else set()
                if row.get("managed") == 0 or "the title" in (row.get("title") or ""):
                    kept |= {"title", "error_log"}
                if row.get("source") != "old" and row.get("dedup_key") not in {"alert", "webhook"}:
                    books.look(f"the table {table}", {name: row[name] for name in row if name not in kept})
    read = {
        "string": client.get,
        "hash": client.hgetall,
        "set": client.smembers,
        "list": lambda key: client.lrange(key, 0, -1),
        "zset": lambda key: client.zrange(key, 0, -1),
    }
    for key in client.scan_iter():
        value = read[client.type(key).decode()](key)
        if b'"old"' not in (value if isinstance(value, bytes) else b""):
            books.look(f"the key {key.decode()}", value)
