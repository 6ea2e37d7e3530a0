"""The nginx of the component gateway: its routes, and how it passes requests through."""

import http.client
import json
import os
import re
import shutil
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml

from medley import names
from tests.backends import free_port, missing, running
from tests.manifests import schemas
from tests.manifests.rendering import KNATIVE

CONFIG = (KNATIVE / "components/gateway/nginx.conf").read_text()
ROUTES = {f"{names.API}/{route}": f"{function}.medley.svc.cluster.local" for route, function in names.ROUTES.items()}
HASH = "9" * 64


class Function(BaseHTTPRequestHandler):
    """Stands for any function: tells what came, and when the head of a request did."""

    protocol_version = "HTTP/1.1"
    head_came: ClassVar[threading.Event] = threading.Event()

    def do_POST(self) -> None:
        body = b""
        while size := int(self.rfile.readline(), 16) if self.headers.get("Transfer-Encoding") else 0:
            body += self.rfile.read(size)
            self.head_came.set()
            self.rfile.readline()
        body += self.rfile.read(int(self.headers.get("Content-Length", 0)))
        about = {"host": self.headers["Host"], "path": self.path, "bytes": len(body), "method": self.command}
        answer = json.dumps({**about, "forwarded": self.headers["X-Forwarded-Host"]}).encode()
        self.send_response(int(self.headers.get("Answer", 200)))
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_DELETE = do_POST

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a running nginx with the shipped configuration, in front of one stand-in for all functions."""
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if nginx is None:
        missing("nginx (Debian: apt-get install nginx-light)")
    folder, port = tmp_path_factory.mktemp("gateway"), free_port()
    with ThreadingHTTPServer(("127.0.0.1", 0), Function) as function:
        threading.Thread(target=function.serve_forever, daemon=True).start()
        config = at_home(folder, port, function.server_port)
        with running([nginx, "-c", str(config), "-g", "daemon off;"], lambda: listens(port), folder / "log"):
            yield port
        function.shutdown()


def at_home(folder: Path, port: int, function: int) -> Path:
    """The configuration with this machine's folder, ports and function."""
    (folder / "resolver.conf").write_text("resolver 127.0.0.1;\n")
    changes = {"/tmp/": f"{folder}/", "listen 8080": f"listen 127.0.0.1:{port}"}
    changes["worker_processes 2"] = "user root" if os.geteuid() == 0 else "worker_processes 1"
    changes |= {"http://$service;": f"http://127.0.0.1:{function};", "/dev/stdout": f"{folder}/access"}
    text = CONFIG
    for shipped, here in changes.items():
        assert shipped in text
        text = text.replace(shipped, here)
    config = folder / "nginx.conf"
    config.write_text(text)
    return config


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def ask(port: int, method: str, path: str, **headers: str) -> tuple[int, dict[str, str], Any]:
    """Status, headers and JSON of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path, b"x" * 10 if method == "POST" else None, {"Host": "songs.example", **headers})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, dict(answer.getheaders()), json.loads(body) if body else None


def test_the_map_has_every_route_and_no_other() -> None:
    block = re.search(r"map \$uri \$function \{(.*?)\n  \}", CONFIG, re.DOTALL)
    assert block
    lines = re.findall(r"~\^/apiv1/(\w+)\(/\|\$\) (\w+);", block[1])
    assert dict(lines) == names.ROUTES
    assert len(block[1].strip().splitlines()) == len(names.ROUTES) + 1  # and the default


def test_the_configuration_is_mounted_where_nginx_looks() -> None:
    (deployment,) = (
        one
        for one in yaml.safe_load_all((KNATIVE / "components/gateway/gateway.yaml").read_text())
        if one["kind"] == "Deployment"
    )
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    mounts = {one["name"]: one["mountPath"] for one in container["volumeMounts"]}
    assert f"-c {mounts['config']}/nginx.conf" in container["args"][0]
    assert "/tmp/resolver.conf" in container["args"][0]
    assert f"listen {container['ports'][0]['containerPort']};" in CONFIG


def test_the_http_route_in_the_readme_is_right() -> None:
    (block,) = re.findall(r"```yaml\n(apiVersion: gateway.*?)```", (KNATIVE / "README.md").read_text(), re.DOTALL)
    route = yaml.safe_load(block)
    assert schemas.problems(route) == []
    passed = {
        match["path"]["value"]: rule["filters"][0]["urlRewrite"]["hostname"]
        for rule in route["spec"]["rules"]
        for match in rule["matches"]
    }
    assert passed == ROUTES


@pytest.mark.parametrize("route", sorted(ROUTES))
@pytest.mark.parametrize("rest", ["", "/", f"/{HASH}/no_vocals.mp3?bitrate=192", "/a%2Fb"])
def test_a_route_goes_to_its_function_with_the_path_as_it_came(gateway: int, route: str, rest: str) -> None:
    status, _, told = ask(gateway, "GET", route + rest)
    assert status == 200
    assert told["host"] == ROUTES[route]
    assert told["path"] == route + rest
    assert told["forwarded"] == "songs.example"


@pytest.mark.parametrize("path", ["/nothing", "/apiv1", "/apiv1/", "/apiv1/separatex", "/apiv2/queue", "/queue"])
def test_what_is_no_route_is_not_found(gateway: int, path: str) -> None:
    status, headers, problem = ask(gateway, "POST", path)
    assert (status, headers["Content-Type"]) == (404, "application/problem+json")
    assert (problem["type"], problem["status"]) == ("urn:medley:problem:not-found", 404)


def test_it_answers_the_root_itself(gateway: int) -> None:
    status, headers, about = ask(gateway, "GET", "/")
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert about == {"service": "medley", "routes": sorted(ROUTES)}
    assert ask(gateway, "HEAD", "/")[0] == 200
    assert ask(gateway, "POST", "/")[::2] == (204, None)
    status, headers, problem = ask(gateway, "DELETE", "/")
    assert (status, problem["type"]) == (405, "urn:medley:problem:method-not-allowed")
    assert headers["Allow"] == "GET, HEAD, POST"


def test_the_options_of_a_bare_body_have_room_in_the_query(gateway: int) -> None:
    path = f"/apiv1/separate?callback={'x' * 40_000}"
    status, _, told = ask(gateway, "POST", path)
    assert (status, told["path"]) == (200, path)


@pytest.mark.parametrize("code", ["404", "405", "422", "503"])
def test_what_a_function_answers_stays_as_it_is(gateway: int, code: str) -> None:
    status, _, told = ask(gateway, "DELETE", f"/apiv1/remove/{HASH}", Answer=code)
    assert (status, told["method"]) == (int(code), "DELETE")


def test_a_body_goes_on_while_it_still_comes(gateway: int) -> None:
    Function.head_came.clear()
    connection = http.client.HTTPConnection("127.0.0.1", gateway, timeout=10)
    connection.putrequest("POST", "/apiv1/separate")
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    connection.send(b"5\r\nhello\r\n")
    assert Function.head_came.wait(5)
    connection.send(b"0\r\n\r\n")
    assert json.loads(connection.getresponse().read())["bytes"] == 5
    connection.close()


def test_a_large_body_is_not_refused(gateway: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", gateway, timeout=30)
    connection.request("POST", "/apiv1/separate", bytes(5_000_000))
    assert json.loads(connection.getresponse().read())["bytes"] == 5_000_000
    connection.close()


def test_a_function_that_is_away_is_a_problem(gateway: int, tmp_path: Path) -> None:
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin") or ""
    port = free_port()
    config = at_home(tmp_path, port, free_port())
    with running([nginx, "-c", str(config), "-g", "daemon off;"], lambda: listens(port), tmp_path / "log"):
        status, headers, problem = ask(port, "GET", "/apiv1/queue")
    assert (status, headers["Content-Type"], headers["Retry-After"]) == (503, "application/problem+json", "5")
    assert problem["type"] == "urn:medley:problem:unavailable"
