# SPDX-License-Identifier: ISC
"""What every scenario gets: `start` runs a peer until the test ends."""

import contextlib
import os
import signal

import pytest

import peers


def pytest_sessionstart():
    # Peers inherit what is ignored, and a shell's background jobs ignore these two.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    if not os.access(peers.BINARY, os.X_OK):
        pytest.exit(f"there is no {peers.BINARY}: build it, or set STUNNEL", returncode=1)


@pytest.fixture
def start(request):
    """start(peer): enters it, and leaves it after the test, the last started first."""
    request.node.peers = []
    with contextlib.ExitStack() as stack:

        def start_peer(peer):
            request.node.peers.append(peer)
            return stack.enter_context(peer)

        yield start_peer


@pytest.fixture
def front(start):
    """front(backend, *options): starts a Stunnel with one service in front of a peer or a port."""

    def start_front(backend, *options, settings="", **of_service):
        section = peers.service(getattr(backend, "port", backend), *options, **of_service)
        return start(peers.Stunnel(settings + section))

    return start_front


@pytest.fixture
def both(start):
    """both(backend, *options): as front(), with the same service of Debian's stunnel beside ours.

    Returns (stock, ours). Without stock the test is skipped.
    """

    def start_both(backend, *options, settings="", **of_service):
        def section():
            return peers.service(getattr(backend, "port", backend), *options, **of_service)

        stock = start(peers.Stock(settings + section()))
        return stock, start(peers.Stunnel(settings + section()))

    return start_both


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows what its peers said."""
    report = (yield).get_result()
    if report.failed and call.when == "call":
        for peer in getattr(item, "peers", []):
            if hasattr(peer, "report"):
                report.sections.append((type(peer).__name__, peer.report()[-8000:]))
