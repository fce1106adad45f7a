# SPDX-License-Identifier: BSD-2-Clause
"""A client that sends exactly the bytes it is given, and reads answers strictly."""
import os
import socket
import time

# Seconds to wait for what must happen: a guest under emulation needs more.
PATIENCE = 60 if "HTTPD_URL" in os.environ else 10


class Answer:
    def __init__(self, status, fields, body):
        self.status, self.fields, self.body = status, fields, body

    def __getitem__(self, name):
        return self.fields.get(name.lower())

    def __repr__(self):
        return f"<{self.status} {self.fields} {self.body[:60]!r}>"


class Connection:
    def __init__(self, address, timeout, receive_buffer=None):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF,
                                   receive_buffer)
        self.socket.settimeout(timeout)
        self.socket.connect(address)
        self.host = address[0]
        self.pending = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def request(self, method, target, fields=()):
        lines = [f"{method} {target} HTTP/1.1", f"Host: {self.host}", *fields]
        self.send(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))

    def more(self):
        data = self.socket.recv(65536)
        if not data:
            raise EOFError(self.pending)
        self.pending += data

    def take(self, size):
        pieces, missing = [self.pending[:size]], size - len(self.pending)
        self.pending = self.pending[size:]
        while missing > 0:
            data = self.socket.recv(min(missing, 1 << 20))
            if not data:
                raise EOFError(f"{missing} of {size} bytes are missing")
            pieces.append(data)
            missing -= len(data)
        return b"".join(pieces)

    def answer(self, method="GET"):
        while b"\r\n\r\n" not in self.pending:
            self.more()
        head, _, self.pending = self.pending.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        version, status, _ = lines[0].split(" ", 2)
        assert version == "HTTP/1.1"
        fields = {}
        for line in lines[1:]:
            name, colon, value = line.partition(": ")
            assert colon and name.lower() not in fields, line
            fields[name.lower()] = value
        without = method == "HEAD" or status == "304"
        size = 0 if without else int(fields["content-length"])
        return Answer(int(status), fields, self.take(size))

    def is_over(self):
        """Nothing more comes; a reset, which may destroy an answer, raises."""
        return not self.pending and self.socket.recv(1) == b""


class Client:
    def __init__(self, host, port):
        self.address = (host, port)

    def connect(self, timeout=PATIENCE, receive_buffer=None):
        return Connection(self.address, timeout, receive_buffer)

    def await_open(self):
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return self.connect().socket.close()
            except ConnectionRefusedError:
                assert time.monotonic() < deadline
                time.sleep(0.02)

    def get(self, target, *fields, method="GET"):
        with self.connect() as c:
            c.request(method, target, fields)
            return c.answer(method)

    def raw(self, data):
        """Send (data) as it is: the answer, which ended the connection."""
        with self.connect() as c:
            c.send(data)
            answer = c.answer()
            assert c.is_over()
            return answer
