# SPDX-License-Identifier: ISC
"""A page with 100 icons in a real browser, through haproxy to apache2."""

import base64

import pytest

import devtools
from peers import Apache, Haproxy, Stunnel, free_port, service, wait_for

ICONS = 100
PIXEL = base64.b64decode(
    "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"  # a GIF of one pixel
)

pytestmark = pytest.mark.skipif(devtools.BINARY is None, reason="there is no chromium here")


@pytest.fixture
def site(start):
    """The daemon and apache2, with a page of 100 icons, and haproxy between them."""
    apache = start(Apache("Header set Cache-Control no-store"))
    icons = "".join(f"<img src=icon{n}.gif>" for n in range(ICONS))
    page = f"<!doctype html><link rel=icon href=data:,><title>icons</title>{icons}"
    (apache.root / "index.html").write_text(page)
    for n in range(ICONS):
        (apache.root / f"icon{n}.gif").write_bytes(PIXEL)
    port = free_port()
    start(
        Haproxy(
            f"""
listen web
    bind 127.0.0.1:{port}
    timeout http-keep-alive 1s
    server apache 127.0.0.1:{apache.port}
"""
        )
    )
    return start(Stunnel("workers = 2\n" + service(port, "xForwardedFor = replace"))), apache


def test_page_with_hundred_icons(start, site):
    stunnel, apache = site
    browser = start(devtools.Chromium())
    whole = "[...document.images].filter(image => image.naturalWidth == 1).length"
    for visit in (1, 2):
        browser.open(f"https://localhost:{stunnel.port}/")
        assert browser.evaluate(whole) == ICONS
        apache.wait_log(visit * (1 + ICONS))
        # haproxy closes the idle connections, so that a second visit needs new ones
        wait_for(
            lambda: stunnel.ended() == len(stunnel.log_lines("accepted connection from")),
            "the browser's connections to end",
        )

    requests = [line.split("|") for line in apache.log_lines()]
    assert len(requests) == 2 * (1 + ICONS)
    assert {xff for _, xff, _ in requests} == {"127.0.0.1"}
    paths = {request.split()[1] for request, _, _ in requests}
    assert paths == {"/"} | {f"/icon{n}.gif" for n in range(ICONS)}
    assert len(stunnel.log_lines("TLS accepted: new session negotiated")) <= 6
    assert stunnel.log_lines("TLS accepted: previous session reused")
