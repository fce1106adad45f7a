# SPDX-License-Identifier: BSD-2-Clause
"""What httpd promises, checked from outside, byte by byte."""
import email.utils
import json
import select
import socket
import time
from html.parser import HTMLParser
from pathlib import Path

import pytest

from client import PATIENCE
from conftest import CONNECTIONS, MTIME, TIMEOUT, TREE

LAST_MODIFIED = email.utils.formatdate(MTIME, usegmt=True)


def short(value):
    """Names of tests, also of those with long requests."""
    return str(value)[:40]


# ---- files ---------------------------------------------------------------------------

@pytest.mark.parametrize("name", TREE)
def test_file_arrives_byte_for_byte(http, files, name):
    answer = http.get("/" + name.replace(" ", "%20").replace("&", "%26"))
    assert answer.status == 200
    assert answer.body == (files / name).read_bytes()


@pytest.mark.parametrize("target, name", [
    ("/", "index.html"), ("/?q=1", "index.html"), ("/#f", "index.html"),
    ("//dir///index.html", "dir/index.html"), ("/./dir/./", "dir/index.html"),
    ("/dir/", "dir/index.html"), ("/dir/deep/../index.html", "dir/index.html"),
    ("/dir/..", "index.html"), ("/%64ir/%69ndex.html", "dir/index.html"),
    ("/dir%2findex.html", "dir/index.html"),
    ("/dir/%2e%2e/one.txt", "one.txt"), ("http://other/one.txt", "one.txt"),
    ("http://other", "index.html"),
])
def test_target_means_file(http, files, target, name):
    answer = http.get(target)
    assert answer.status == 200
    assert answer.body == (files / name).read_bytes()


@pytest.mark.parametrize("target, content_type", [
    ("/", "text/html; charset=utf-8"), ("/style.css", "text/css; charset=utf-8"),
    ("/one.txt", "text/plain; charset=utf-8"),
    ("/big.bin", "application/octet-stream"),
])
def test_extension_decides_content_type(http, target, content_type):
    assert http.get(target)["Content-Type"] == content_type


def test_head_is_get_without_a_body(http):
    head = http.get("/big.bin", method="HEAD")
    with http.connect() as c:
        c.request("HEAD", "/missing")
        c.request("HEAD", "/-/status")
        c.request("GET", "/one.txt")
        assert c.answer("HEAD").status == 404
        assert c.answer("HEAD").status == 200
        assert c.answer().body == b"1"
    assert head.status == 200
    assert head["Content-Length"] == str(len(TREE["big.bin"]))


def test_directory_without_slash_is_redirected(http):
    answer = http.get("/dir")
    assert (answer.status, answer["Location"]) == (301, "/dir/")
    answer = http.get("//dir/deep")
    assert (answer.status, answer["Location"]) == (301, "/dir/deep/")


# ---- ranges and conditions -----------------------------------------------------------

@pytest.mark.parametrize("asked, begin, end", [
    ("0-0", 0, 1), ("0-", 0, None), ("1-10", 1, 11), ("4000-9999", 4000, None),
    ("-1", -1, None), ("-9999", 0, None), ("4095-", 4095, None),
    ("0-18446744073709551615", None, None),  # too large to be a number here
])
def test_range_is_cut_out(http, asked, begin, end):
    data = TREE["block.bin"]
    answer = http.get("/block.bin", f"Range: bytes={asked}")
    if begin is None:
        assert (answer.status, answer.body) == (200, data)
        return
    assert answer.status == 206
    assert answer.body == data[begin:end]
    first, _, total = answer["Content-Range"].partition("-")
    start = begin + len(data) if begin < 0 else begin
    assert first == f"bytes {start}"
    assert total == f"{start + len(answer.body) - 1}/{len(data)}"


@pytest.mark.parametrize("asked", ["4096-", "9999-10000", "-0"])
def test_range_outside_is_416(http, asked):
    answer = http.get("/block.bin", f"Range: bytes={asked}")
    assert answer.status == 416
    assert answer["Content-Range"] == "bytes */4096"


def test_no_range_of_an_empty_file(http):
    assert http.get("/empty.txt", "Range: bytes=0-").status == 416


@pytest.mark.parametrize("asked", [
    "bytes=5-4", "bytes=", "bytes=-", "bytes=a-b", "lines=0-1", "bytes=0-1,3-4",
    "bytes=0-1 ,", "bytes=--1", "bytes=1" + "0" * 40 + "-", "b" * 500,
], ids=short)
def test_range_that_is_not_understood_is_ignored(http, asked):
    answer = http.get("/block.bin", f"Range: {asked}")
    assert (answer.status, answer.body) == (200, TREE["block.bin"])


def test_big_file_in_ranges_is_the_file(http):
    data, step, got = TREE["big.bin"], 333_333, b""
    with http.connect() as c:
        for begin in range(0, len(data), step):
            c.request("GET", "/big.bin",
                      [f"Range: bytes={begin}-{begin + step - 1}"])
            got += c.answer().body
    assert got == data


def test_known_date_is_not_sent_again(http):
    answer = http.get("/style.css")
    assert answer["Last-Modified"] == LAST_MODIFIED
    since = [LAST_MODIFIED, email.utils.formatdate(MTIME + 9, usegmt=True)]
    for date in since:
        answer = http.get("/style.css", f"If-Modified-Since: {date}")
        assert (answer.status, answer.body) == (304, b"")


@pytest.mark.parametrize("date", [
    email.utils.formatdate(MTIME - 1, usegmt=True), "yesterday", "", "x" * 300,
    LAST_MODIFIED.replace("GMT", "UTC"), LAST_MODIFIED.replace("Nov", "Now"),
], ids=short)
def test_unknown_date_gets_the_file(http, date):
    answer = http.get("/style.css", f"If-Modified-Since: {date}")
    assert (answer.status, answer.body) == (200, TREE["style.css"])


def test_tag_silences_date(http):
    tag = http.get("/style.css")["ETag"]
    assert http.get("/style.css", f"If-None-Match: {tag}").status == 304
    assert http.get("/style.css", f'If-None-Match: "x", W/{tag}').status == 304
    assert http.get("/style.css", "If-None-Match: *").status == 304
    assert http.get("/style.css", 'If-None-Match: "x"',
                    f"If-Modified-Since: {LAST_MODIFIED}").status == 200


def test_connection_goes_on_after_304(http):
    with http.connect() as c:
        c.request("GET", "/one.txt", [f"If-Modified-Since: {LAST_MODIFIED}"])
        c.request("GET", "/one.txt")
        assert [c.answer().status, c.answer().status] == [304, 200]


def test_if_range_decides_between_part_and_whole(http):
    tag = http.get("/block.bin")["ETag"]
    for good in (tag, LAST_MODIFIED):
        assert http.get("/block.bin", "Range: bytes=0-0",
                        f"If-Range: {good}").status == 206
    assert http.get("/block.bin", "Range: bytes=0-0",
                    'If-Range: "x"').status == 200


# ---- connections ---------------------------------------------------------------------

def test_connection_is_kept(http):
    with http.connect() as c:
        for _ in range(50):
            c.request("GET", "/one.txt")
            answer = c.answer()
            assert (answer.status, answer["Connection"]) == (200, None)


def test_connection_is_closed_on_wish(http):
    with http.connect() as c:
        c.request("GET", "/one.txt", ["Connection: close"])
        assert c.answer()["Connection"] == "close"
        assert c.is_over()


def test_http_1_0_closes_unless_asked(http):
    with http.connect() as c:
        c.send(b"GET /one.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert c.answer()["Connection"] == "keep-alive"
        c.send(b"GET /one.txt HTTP/1.0\r\n\r\n")
        assert c.answer().body == b"1"
        assert c.is_over()


def test_pipelined_answers_keep_their_order(http):
    names = ["one.txt", "big.bin", "missing", "block.bin", "empty.txt"] * 8
    with http.connect() as c:
        c.send(b"".join(b"GET /%s HTTP/1.1\r\nHost: a\r\n\r\n" % n.encode()
                        for n in names))
        for name in names:
            answer = c.answer()
            if name in TREE:
                assert (answer.status, answer.body) == (200, TREE[name])
            else:
                assert answer.status == 404


def test_request_in_single_bytes(http):
    with http.connect() as c:
        c.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"\r\nGET /one.txt HTTP/1.1\r\nHost: a\r\nRange: bytes=0-0\r\n\r\n":
            c.send(bytes([byte]))
        assert (c.answer().status, c.pending) == (206, b"")


def test_half_closed_client_gets_its_answer(http):
    with http.connect() as c:
        c.request("GET", "/big.bin")
        c.socket.shutdown(socket.SHUT_WR)
        assert c.answer().body == TREE["big.bin"]
        assert c.is_over()


def test_slow_reader_gets_every_byte(http):
    with http.connect(receive_buffer=4096) as c:
        c.request("GET", "/big.bin")
        time.sleep(0.2)
        assert c.answer().body == TREE["big.bin"]


def test_client_that_leaves_harms_nobody(http):
    for _ in range(20):
        with http.connect(receive_buffer=4096) as c:
            c.request("GET", "/big.bin")
            c.socket.recv(10)
    assert http.get("/one.txt").body == b"1"


# ---- errors --------------------------------------------------------------------------

GOOD = b"Host: a\r\n\r\n"


@pytest.mark.parametrize("status, data", [
    (400, b"GET /one.txt HTTP/1.1\r\n\r\n"),
    (400, b"GET /one.txt HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
    (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    (400, b"BREW / HTTP/1.1\r\n" + GOOD),
    (400, b"GET / HTTX/1.1\r\n" + GOOD),
    (400, b"GET /\x00 HTTP/1.1\r\n" + GOOD),
    (400, b"GET / HTTP/1.1\r\nA b: c\r\n" + GOOD),
    (400, b"GET / HTTP/1.1\r\nContent-Length: x\r\n" + GOOD),
    (400, b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n" + GOOD),
    (400, b"GET / HTTP/1.1\r\nContent-Length: 1\r\n"
          b"Transfer-Encoding: chunked\r\n" + GOOD),
    (413, b"GET / HTTP/1.1\r\nContent-Length: 3\r\n" + GOOD + b"abc"),
    (413, b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + GOOD + b"0\r\n\r\n"),
    (413, b"GET / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 9\r\n" + GOOD),
    (405, b"POST / HTTP/1.1\r\nContent-Length: 3\r\n" + GOOD + b"abc"),
    (405, b"CONNECT a:1 HTTP/1.1\r\n" + GOOD),
    (414, b"GET /" + b"a" * 6000 + b" HTTP/1.1\r\n" + GOOD),
    (414, b"GET /" + b"a" * 100_000),
    (431, b"GET / HTTP/1.1\r\nA: " + b"a" * 9000 + b"\r\n" + GOOD),
    (431, b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 100_000),
    (505, b"GET / HTTP/2.0\r\n" + GOOD),
    (505, b"GET /\r\n\r\n"),
], ids=short)
def test_bad_request_is_answered_and_ends_the_connection(http, status, data):
    answer = http.raw(data)
    assert (answer.status, answer["Connection"]) == (status, "close")


@pytest.mark.parametrize("status, target", [
    (404, "/missing"), (404, "/noindex/"), (404, "/one.txt/"), (404, "/one.txt/x"),
    (404, "/-/"), (404, "/" + "a" * 300), (404, "/" + "a/" * 400), (414, "/" + "%61" * 1100),
    (400, "/.."), (400, "/../etc/passwd"), (400, "/%2e%2e/etc/passwd"),
    (400, "/dir/../../etc/passwd"), (400, "/..%2f..%2fetc/passwd"),
    (400, "/a%00b"), (400, "/%"), (400, "/%4"), (400, "/%zz"), (400, "*"),
], ids=short)
def test_bad_target_is_answered_and_keeps_the_connection(http, status, target):
    with http.connect() as c:
        c.request("GET", target)
        c.request("GET", "/one.txt")
        assert c.answer().status == status
        assert c.answer().body == b"1"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_other_methods_are_refused(http, method):
    with http.connect() as c:
        c.request(method, "/one.txt")
        c.request("GET", "/one.txt")
        answer = c.answer()
        assert (answer.status, answer["Allow"]) == (405, "GET, HEAD")
        assert c.answer().body == b"1"


@pytest.mark.parametrize("field", [
    "Expect: 100-continue", "Expect: miracles", "Content-Length: 0",
    "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA",
    "X: " + "y" * 5000, "If-None-Match: " + "z" * 5000,
], ids=short)
def test_harmless_fields_are_ignored(http, field):
    with http.connect() as c:
        c.request("GET", "/one.txt", [field])
        c.request("GET", "/one.txt")
        assert [c.answer().body, c.answer().body] == [b"1", b"1"]


# ---- bounds --------------------------------------------------------------------------

def test_slow_and_silent_clients_are_let_go(http):
    """All at once, because each takes its time."""
    slow, silent, stuck, kept = (http.connect() for _ in range(4))
    slow.send(b"GET / HTTP/1.1\r\n")
    kept.request("GET", "/one.txt")
    assert kept.answer().body == b"1"
    stuck.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    for _ in range(30):
        stuck.request("GET", "/big.bin")
    begin = time.monotonic()
    while time.monotonic() - begin < TIMEOUT + PATIENCE / 5 and \
            not select.select([slow.socket], [], [], 0.3)[0]:
        slow.send(b"A: b\r\n")  # a drop now and then buys no more time
    assert slow.answer().status == 408
    assert silent.is_over()
    assert kept.is_over()
    assert time.monotonic() - begin < TIMEOUT + PATIENCE / 5
    with pytest.raises((EOFError, ConnectionResetError)):
        for _ in range(30):
            assert stuck.answer().body == TREE["big.bin"]
    for c in (slow, silent, stuck, kept):
        c.socket.close()


def test_many_connections_at_once(http):
    everyone = [http.connect() for _ in range(600)]
    for c in everyone:
        c.request("GET", "/block.bin")
    for c in everyone:
        assert c.answer().body == TREE["block.bin"]
    for c in everyone:
        c.request("GET", "/one.txt")
    for c in everyone:
        assert c.answer().body == b"1"
        c.socket.close()


def test_silent_crowd_keeps_nobody_out(http):
    crowd = []
    for i in range(CONNECTIONS + 300):
        crowd.append(http.connect())
        if i % 2:
            crowd[-1].send(b"GET / HT")
    assert http.get("/one.txt").body == b"1"
    for c in crowd:
        c.socket.close()


def test_twenty_thousand_requests(http):
    batch = b"GET /one.txt HTTP/1.1\r\nHost: a\r\n\r\n" * 50
    with http.connect() as c:
        for _ in range(360):
            c.send(batch)
            for _ in range(50):
                assert c.answer().body == b"1"
    for _ in range(2000):
        assert http.get("/one.txt", "Connection: close").body == b"1"


def test_nothing_is_left_behind(needs_native, files):
    """Descriptors and memory after a day's work are those of the first minute."""
    server = needs_native(files)
    pid = server.process.pid

    def descriptors():
        with server.client.connect() as c:
            c.request("GET", "/-/status.json")
            assert json.loads(c.answer().body)["httpd"]["open"] >= 1
        time.sleep(0.05)
        return len(list(Path(f"/proc/{pid}/fd").iterdir()))

    before = descriptors()
    for _ in range(50):
        with server.client.connect() as c:
            c.request("GET", "/big.bin")
            c.request("GET", "/missing")
        with server.client.connect() as c:
            c.send(b"GET / HT")
        server.client.get("/big.bin", "Range: bytes=5-")
    time.sleep(0.3)
    assert descriptors() == before


# ---- status --------------------------------------------------------------------------

class Numbers(HTMLParser):
    """The places of data-k in a page, and whether its tags match."""

    def __init__(self, text):
        super().__init__()
        self.keys, self.open = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "link", "br"):
            self.open.append(tag)
        self.keys += [v for k, v in attrs if k == "data-k"]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_page_and_json_tell_the_same(http):
    numbers = json.loads(http.get("/-/status.json").body)
    page = http.get("/-/status")
    assert page["Content-Type"].startswith("text/html")
    parsed = Numbers(page.body.decode())
    assert parsed.open == []
    for key in parsed.keys:
        value = numbers
        for part in key.split("."):
            value = value[part]
        assert isinstance(value, (int, str))
    assert numbers["httpd"]["answers"] > 0
    assert len(parsed.keys) >= 8


def test_status_is_always_fresh(http):
    first, second = (json.loads(http.get("/-/status.json").body)
                     for _ in range(2))
    assert second["httpd"]["answers"] > first["httpd"]["answers"]
    assert http.get("/-/status.json")["Cache-Control"] == "no-store"


def test_missing_root_is_explained(needs_native, tmp_path):
    server = needs_native(tmp_path / "nothing")
    answer = server.client.get("/")
    assert (answer.status, answer["Retry-After"]) == (503, "5")
    assert b"mkfs.erofs" in answer.body
    assert server.client.get("/-/status").status == 200
    assert "there are no files" in server.log.read_text()


def test_requests_are_logged_when_asked(needs_native, files):
    server = needs_native(files, "--log")
    server.client.get("/one.txt")
    server.client.raw(b"GET /\x01\xff HTTP/1.1\r\n\r\n")
    lines = server.log.read_text().splitlines()
    assert "httpd: 200 /one.txt" in lines
    assert lines[0].startswith(f"httpd: serving {files} on port ")
    assert all(c.isprintable() for line in lines for c in line)
