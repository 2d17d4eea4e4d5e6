# SPDX-License-Identifier: ISC
"""/etc/init.d/stunnel4 of Debian's package, on layers above this machine's folders."""

import subprocess
from pathlib import Path

import pytest

from peers import BINARY, DEADLINE, as_root, certificates, daemon_only
from test_operations import APART, LAYERS, TOP

pytestmark = [as_root, daemon_only]

PREPARE = """
mkdir -p /etc/stunnel /run/stunnel4
rm -rf /etc/stunnel/* /etc/default/stunnel4 /usr/bin/stunnel /usr/bin/stunnel4
cp "$BINARY" /usr/bin/stunnel
ln -s stunnel /usr/bin/stunnel4
init() { sh "$TOP/debian/stunnel-http.stunnel4.init" "$@" 2>&1; }
port=7000
file() {
	port=$((port + 1))
	printf '%s\n' "cert = $CERT" "key = $KEY" 'workers = 1' "$2" '[web]' "accept = 127.0.0.1:$port" \
		'connect = 1' >"/etc/stunnel/$1.conf"
}
up() { (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
set -x
"""


@pytest.fixture
def run(tmp_path):
    """Runs lines of shell, of which none may fail."""
    missing = [path for path in ("/lib/lsb/init-functions", "/sbin/start-stop-daemon") if not Path(path).exists()]
    if missing or subprocess.run([*APART, "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip(f"there is no {missing or 'namespace'}")

    def run_lines(lines):
        environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "SCRATCH": str(tmp_path),
            "BINARY": BINARY,
            "TOP": str(TOP),
            "CERT": str(certificates().cert),
            "KEY": str(certificates().key),
        }
        script = "set -eu\n" + LAYERS.replace("usr/local", "usr/bin") + PREPARE + lines
        command = [*APART, "bash", "-c", script]
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, env=environment, timeout=4 * DEADLINE
        )
        assert done.returncode == 0, done.stdout + done.stderr

    return run_lines


def test_a_file_that_is_not_there_is_a_failure(run):
    run("""
for command in start stop status reload restart; do
	if said=$(init $command nothing); then exit 1; fi
	grep -F '/etc/stunnel/nothing.conf does not exist' <<<"$said"
done
init start
""")


def test_files_with_and_without_a_pid_file_are_served_alike(run):
    """Also behind an upgrade, which changes the name of the process."""
    run("""
file with 'pid = /run/with.pid'
file without ''
file bad 'nonsense = yes'
if init start; then exit 1; fi
up 7001; up 7002
init start with; init start without
init status with; init status without
/usr/bin/stunnel4 -upgrade /etc/stunnel/with.conf
init reload
if init restart; then exit 1; fi
up 7001; up 7002
init stop with
if up 7001 || init status with; then exit 1; fi
up 7002
init stop
if up 7002 || init status without; then exit 1; fi
""")
