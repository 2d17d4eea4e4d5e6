# SPDX-License-Identifier: ISC
"""A page with 100 icons in a real browser, before apache2 alone and with haproxy between."""

import base64

import pytest

import devtools
from peers import PATCHED, Apache, Haproxy, Stunnel, free_port, service, wait_for

ICONS = 100
PIXEL = base64.b64decode(
    "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"  # a GIF of one pixel
)
AT_ONCE = 6  # connections that Chromium has to a host, those that it opens ahead included
WHOLE = "[...document.images].filter(image => image.naturalWidth == 1).length"

pytestmark = pytest.mark.skipif(devtools.BINARY is None, reason="there is no chromium here")
renews = pytest.mark.skipif(PATCHED, reason="a stock's client has one backend connection")


class Site:
    """apache2 with the page, the daemon in front of `port`, and the browser that visits it."""

    def __init__(self, start, config=""):
        self.start = start
        self.apache = start(Apache(f"Header set Cache-Control no-store\n{config}"))
        self.port = self.apache.port
        icons = "".join(f"<img src=icon{n}.gif>" for n in range(ICONS))
        page = f"<!doctype html><link rel=icon href=data:,><title>icons</title>{icons}"
        (self.apache.root / "index.html").write_text(page)
        for n in range(ICONS):
            (self.apache.root / f"icon{n}.gif").write_bytes(PIXEL)

    def behind_haproxy(self):
        """One that soon closes idle connections, also those that a browser opens and never uses."""
        self.port = free_port()
        self.start(
            Haproxy(
                f"""
listen web
    bind 127.0.0.1:{self.port}
    timeout http-keep-alive 1s
    timeout http-request 10s
    option http-ignore-probes
    server apache 127.0.0.1:{self.apache.port}
"""
            )
        )

    def open(self, *options):
        config = service(self.port, "xForwardedFor = replace", *options)
        self.stunnel = self.start(Stunnel(f"workers = 2\n{config}"))
        self.browser = self.start(devtools.Chromium())
        self.visits = 0

    def visit(self):
        self.browser.open(f"https://localhost:{self.stunnel.port}/")
        assert self.browser.evaluate(WHOLE) == ICONS
        self.visits += 1
        self.apache.wait_log(self.visits * (1 + ICONS))

    def check_requests(self):
        """Each arrived once a visit, with the client's address."""
        requests = [line.split("|") for line in self.apache.log_lines()]
        assert {xff for _, xff, _ in requests} == {"127.0.0.1"}
        paths = sorted(request.split()[1] for request, _, _ in requests)
        assert paths == sorted(self.visits * ["/", *(f"/icon{n}.gif" for n in range(ICONS))])

    def log_count(self, text):
        return len(self.stunnel.log_lines(text))

    def check_no_client_lost_its_connection(self):
        """Then the limit of the browser is one of the handshakes, too.

        It gives up one that it opened ahead, or opened again because the first was slow, unused.
        """
        ended = self.stunnel.log_lines(" sent to socket")
        unused = [line for line in ended if ", 0 byte(s) sent to socket" in line]
        assert ended == unused, "a connection with requests ended"
        assert self.log_count("TLS accepted: ") - len(unused) <= AT_ONCE


def test_a_browser_whose_connections_ended_resumes_its_session(start):
    """How many handshakes are whole is its choice: it shows each of the last two tickets once."""
    site = Site(start)
    site.behind_haproxy()
    site.open("httpKeepAlive = both", "TIMEOUTclose = 1")  # the browser need not close idle ones
    site.visit()
    accepted = "accepted connection from"
    wait_for(lambda: site.stunnel.ended() == site.log_count(accepted), "the connections to end")
    before = site.log_count("TLS accepted: previous session reused")
    site.visit()
    site.check_requests()
    assert site.log_count("TLS accepted: previous session reused") > before


@renews
def test_a_browser_keeps_its_connections_when_haproxy_closes_idle_ones(start):
    site = Site(start)
    site.behind_haproxy()
    site.open()
    site.visit()
    site.stunnel.wait_log("Backend connection closed", site.log_count("TLS accepted: "))
    site.visit()
    site.check_requests()
    site.check_no_client_lost_its_connection()


@renews
def test_a_browser_keeps_its_connections_when_each_response_ends_the_backends(start):
    site = Site(start, "KeepAlive Off")
    site.open()
    site.visit()
    site.check_requests()
    site.check_no_client_lost_its_connection()
    assert site.log_count("Backend connection closed") > ICONS - AT_ONCE
