# SPDX-License-Identifier: ISC
"""setuid and setgid of a section: who owns the Unix socket that it accepts on, as in stock."""

import pwd

import pytest

from peers import Stock, Stunnel, as_root, beside_stock, daemon_only, free_port, service, wait_for

pytestmark = [daemon_only, as_root]

SECTIONS = {"inherits": [], "user": ["setuid = nobody"], "both": ["setuid = nobody", "setgid = 4"]}
NOBODY = pwd.getpwnam("nobody").pw_uid
DAEMON = pwd.getpwnam("daemon")


def config(folder, sections=SECTIONS):
    folder.chmod(0o777)
    paths = {name: folder / name for name in sections}
    return "".join(
        service(free_port(), *options, name=name, accept=paths[name])
        for name, options in sections.items()
    )


def owners(folder):
    return {path.name: (path.stat().st_uid, path.stat().st_gid) for path in folder.iterdir()}


@beside_stock
@pytest.mark.parametrize("settings", ["", "setuid = daemon\nsetgid = daemon\n"])
def test_the_owner_is_stocks(settings):
    """What stands before the sections is the default of theirs."""
    found = []
    for kind in Stock, Stunnel:
        stunnel = kind("")
        stunnel.folder.chmod(0o777)  # where the other user writes stock's log
        folder = stunnel.folder / "sockets"
        folder.mkdir()
        stunnel.write(settings + config(folder))
        with stunnel:
            found.append(owners(folder))
    user, group = (DAEMON.pw_uid, DAEMON.pw_gid) if settings else (0, 0)
    expected = {"inherits": (user, group), "user": (NOBODY, group), "both": (NOBODY, 4)}
    assert found == [expected, expected]


def test_a_reload_changes_the_owner(start, tmp_path):
    stunnel = start(Stunnel(config(tmp_path, {"web": []})))
    assert owners(tmp_path) == {"web": (0, 0)}
    number = (tmp_path / "web").stat().st_ino
    stunnel.write(config(tmp_path, {"web": ["setuid = nobody"]}))
    stunnel.reload()
    wait_for(lambda: owners(tmp_path) == {"web": (NOBODY, 0)}, "the new owner")
    assert (tmp_path / "web").stat().st_ino == number


def test_an_owner_that_cannot_be_is_told(start, tmp_path):
    """As in stock the socket stays ours: fewer may use it than were meant to."""
    stunnel = Stunnel(config(tmp_path, {"web": ["setuid = daemon"]}))
    stunnel.wrapper = ["setpriv", "--bounding-set=-chown", "--inh-caps=-chown"]
    start(stunnel)
    assert owners(tmp_path) == {"web": (0, 0)}
    assert stunnel.log_lines(f"Socket chown failed: {tmp_path}/web, UID={DAEMON.pw_uid}, GID=0: ")
