"""A model server in the standard library, as code/serve.py of a small archive; the tests steer it.

Environment: FAKE_NAME (answered), FAKE_PING (status of /ping), FAKE_START (exit: ends with a traceback at once),
FAKE_PARAMETERS (body of /execution-parameters). Request bodies: b"status:NNN", b"die", b"big:N", b"cut", b"slow:S",
b"headers", b"env", b"attributes:X"; anything else is answered line by line with its length.
"""

import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

NAME, PING = os.environ.get("FAKE_NAME", "fake"), int(os.environ.get("FAKE_PING", "200"))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def log_message(self, *args: object) -> None:
        pass

    def answer(self, status: int, body: bytes, headers: tuple[tuple[str, str], ...] = ()) -> None:
        self.send_response(status)
        for name, value in (("Content-Type", "application/json"), ("Content-Length", str(len(body))), *headers):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        parameters = os.environ.get("FAKE_PARAMETERS")
        if self.path == "/ping":
            self.answer(PING, b"")
        elif self.path == "/execution-parameters" and parameters:
            self.answer(200, parameters.encode())
        else:
            self.answer(404, b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        verb, _, value = body.decode("utf-8", "replace").strip().partition(":")
        if verb == "status":
            self.answer(int(value), json.dumps({"error": "x" * 3000 if value == "418" else "no"}).encode())
        elif verb == "die":
            os._exit(7)
        elif verb == "big":
            self.answer(200, b"x" * int(value))
        elif verb == "cut":
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b"short")
            self.close_connection = True
        elif verb == "slow":
            threading.Event().wait(float(value))
            self.answer(200, b"late")
        elif verb == "headers":
            self.answer(200, json.dumps(dict(self.headers)).encode())
        elif verb == "env":
            self.answer(200, json.dumps({**os.environ, "pid": os.getpid()}).encode())
        elif verb == "attributes":
            self.answer(200, b"{}", (("X-Amzn-SageMaker-Custom-Attributes", value),))
        else:
            lines = body.split(b"\n")
            answers = [{"name": NAME, "length": len(line)} for line in (lines[:-1] if not lines[-1] else lines)]
            self.answer(200, "\n".join(map(json.dumps, answers)).encode())


if __name__ == "__main__":
    if "FAKE_START" in os.environ:
        raise RuntimeError("cannot load the model: " + os.environ["FAKE_START"])
    print(f"{NAME} listens", flush=True)
    address = ("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"]))
    ThreadingHTTPServer.request_queue_size = 64
    ThreadingHTTPServer(address, Handler).serve_forever()
