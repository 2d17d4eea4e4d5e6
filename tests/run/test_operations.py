# SPDX-License-Identifier: ISC
"""doc/operations.md: its files and commands, in their order, on a copy of this machine's folders.

`make install` and all else write to layers above the machine's folders, which are gone with the test.
systemctl stands for systemd: it starts, reloads and stops by the unit's own file.
"""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from peers import BINARY, DEADLINE, as_root, daemon_only

TOP = Path(__file__).resolve().parents[2]
BUILD = Path(BINARY).resolve().parent.parent
PAGE = (TOP / "doc/operations.md").read_text()

LAYERS = """
ip link set lo up
mount --make-rprivate /
mount -t tmpfs none "$SCRATCH"
for folder in etc run usr/local var; do
	mkdir -p "$SCRATCH/$folder/upper" "$SCRATCH/$folder/work"
	mount -t overlay overlay -o \\
		"lowerdir=/$folder,upperdir=$SCRATCH/$folder/upper,workdir=$SCRATCH/$folder/work" "/$folder"
done
"""
# The build may have other folders than the page's.
PREPARE = """
rm -rf /etc/stunnel /usr/local/etc/stunnel /var/log/stunnel
mkdir -p /etc/stunnel /etc/prometheus /usr/local/etc
[ "$SYSCONFDIR" = /etc ] || ln -s /etc/stunnel "$SYSCONFDIR/stunnel"
make() { command make -C "$BUILD" --silent MAKEFLAGS= "$@"; }
systemctl() { "$PYTHON" -B tests/run/systemctl.py "$@"; }
soon() { for _ in $(seq 600); do ! eval "$1" || return 0; sleep 0.05; done; echo "never: $1"; return 1; }
cd "$WWW" && "$PYTHON" -m http.server --bind 127.0.0.1 8080 >/tmp/www.log 2>&1 &
cd "$TOP"
soon 'curl -fsS http://127.0.0.1:8080/ >/dev/null 2>&1'
"""
# What has to be seen behind a section of the page, beside that no command failed.
SEEN = {
    "Install": """
        curl -fsS --cacert /etc/stunnel/www.pem https://localhost/ | grep 'it is the backend'
        first=$(cat /run/stunnel-www.pid); kill -0 "$first" """,
    "Replace the program, or stock stunnel": """
        [ "$(cat /run/stunnel-www.pid)" != "$first" ]; kill -0 "$(cat /run/stunnel-www.pid)"
        [ "$(systemctl show-pid stunnel@www)" = "$(cat /run/stunnel-www.pid)" ]
        soon "! grep -q 'LOG[0-3]' /var/log/stunnel/www.log"
        started=$(grep -c 'Configuration successful' /var/log/stunnel/www.log) """,
    "Reload": "[ $(grep -c 'Configuration successful' /var/log/stunnel/www.log) = $((started + 1)) ]",
    "Rotate logs": """
        soon "grep 'Log file reopened' /var/log/stunnel/www.log"
        grep 'Configuration successful' /var/log/stunnel/www.log.1
        curl -fsS --cacert /etc/stunnel/www.pem https://localhost/
        soon "grep 'GET / ' /var/log/stunnel/access.log"
        soon "grep 'Connection closed' /var/log/stunnel/www.log"
        [ "$(grep -c 'annot open' /var/log/stunnel/www.log)" = 0 ]
        old=$(openssl x509 -in /etc/stunnel/www.pem -noout -serial) """,
    "Renew certificates": """
        soon "grep 'New certificate' /var/log/stunnel/www.log"
        [ "$(grep -c 'Configuration successful' /var/log/stunnel/www.log)" = 0 ]
        soon "curl -fsS --cacert /etc/stunnel/www.pem https://localhost/ | grep 'it is the backend'"
        new=$(openssl x509 -in /etc/stunnel/www.pem -noout -serial); [ "$new" != "$old" ]
        soon 'openssl s_client -connect localhost:443 </dev/null 2>&1 | openssl x509 -noout -serial |
            grep -F "$new"' """,
    "Drain and stop": "curl -fsS --cacert /etc/stunnel/www.pem https://localhost/",
    "Watch": "soon \"grep 'Listed . active' /var/log/stunnel/www.log\"",
}


def blocks():
    """The page as shell: (heading, lines) of each block; a file's is a command that writes it."""
    found = []
    for section in PAGE.split("\n## ")[1:]:
        heading = section.split("\n")[0]
        pattern = r"(?:^In `(/\S+)`:\n\n)?^```(sh)?\n(.*?)^```$"
        for path, shell, text in re.findall(pattern, section, re.MULTILINE | re.DOTALL):
            assert bool(path) != bool(shell), f"what is this block for? {text}"
            found.append((heading, text if shell else f"cat >{path} <<'---'\n{text}---\n"))
    return found


def script():
    parts, last = [LAYERS, PREPARE], None
    for heading, text in [*blocks(), (None, "")]:
        if heading != last and last in SEEN:
            parts.append(SEEN[last])
        if heading != last and heading:
            parts.append(f"echo {shlex.quote('== ' + heading)}")
        parts.append(text)
        last = heading
    return "set -eu -o pipefail\n" + "\n".join(parts) + "\necho all of it ran\n"


def default_folder():
    said = subprocess.run([BINARY, "-version"], check=True, capture_output=True, text=True).stderr
    return re.search(r"^Default configuration file: (.*)/stunnel/stunnel.conf$", said, re.M)[1]


APART = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]


@as_root
@daemon_only
def test_each_command_of_the_page(tmp_path):
    missing = [name for name in ("logrotate", "ip", "curl") if not shutil.which(name)]
    if missing or not (BUILD / "Makefile").exists():
        pytest.skip(f"there is no {missing or BUILD / 'Makefile'}")
    if b"without-libmicrohttpd" in (BUILD / "config.log").read_bytes():
        pytest.skip("it was built without libmicrohttpd")
    if subprocess.run([*APART, "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("the kernel gives no namespaces")
    (tmp_path / "www").mkdir()
    (tmp_path / "www/index.html").write_text("it is the backend\n")
    (tmp_path / "scratch").mkdir()
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        "SCRATCH": str(tmp_path / "scratch"),
        "WWW": str(tmp_path / "www"),
        "TOP": str(TOP),
        "BUILD": str(BUILD),
        "UNITS": str(BUILD / "tools/systemd"),
        "SYSCONFDIR": default_folder(),
        "PYTHON": sys.executable,
    }
    done = subprocess.run(
        [*APART, "bash", "-c", script()],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
        timeout=4 * DEADLINE,
    )
    assert done.stdout.endswith("all of it ran\n") and done.returncode == 0, done.stdout + done.stderr


def test_each_alert_is_on_the_page():
    alerts = re.findall(r"- alert: (\w+)", (TOP / "doc/prometheus-alerts.yml").read_text())
    assert alerts == re.findall(r"^\| `(Stunnel\w+)` \|", PAGE, re.MULTILINE)
