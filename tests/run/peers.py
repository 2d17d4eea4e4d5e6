# SPDX-License-Identifier: ISC
"""The programs that a test talks to: each in a folder of its own, on free ports of loopback."""

import contextlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from certs import certificates

BINARY = os.environ.get("STUNNEL") or str(
    Path(__file__).resolve().parents[2] / "build/gcc/stunnel/stunnel"
)
DEADLINE = 30  # seconds; for waiting, never for judging


def said_of_itself():
    """What the program under test says for -version: of stock also the presets of its options."""
    if not os.access(BINARY, os.X_OK):
        return ""
    return subprocess.run([BINARY, "-version"], check=False, capture_output=True, text=True).stderr


VERSION = said_of_itself()

# Whether the tests run with a stock stunnel that carries patches/: it has fewer options.
PATCHED = "Forward:HTTP" in VERSION

# Of that stock, as (5, 68).
NUMBER = re.search(r"^(?:\[.\] )?stunnel (\d+)\.(\d+)", VERSION, re.M) if PATCHED else None
RELEASE = tuple(map(int, NUMBER.groups())) if NUMBER else ()


def sanitized():
    """Whether the program was built with sanitizers."""
    return b"__asan_init" in Path(BINARY).read_bytes()


def stock_before(major, minor):
    """Whether the program is a stock older than this."""
    return PATCHED and RELEASE < (major, minor)


def stock_since(major, minor, older):
    """Marks a test that is not for older stocks, with what these do: unpatched as well."""
    reason = f"stock before {major}.{minor} {older}"
    return pytest.mark.skipif(stock_before(major, minor), reason=reason)


# Stock 4.x has a pid file, in a folder that need not be there, and helpers that ask libwrap and
# end a little after it, unless it is told not to.
UNLIKE_4 = "pid =\n" if stock_before(5, 0) else ""
UNLIKE_4 += "libwrap = no\n" if stock_before(5, 0) and "LIBWRAP" in VERSION else ""

# Options that only the daemon has; `workers` may go, where it is not what a test is about.
OF_THE_DAEMON = re.compile(
    r"^ *(alpn|maxConnectionsPerIP|TIMEOUTresolve) *=",
    re.M,
)
# Where a release of stock has no such option, or none of these names of OpenSSL's; ours all have.
UNKNOWN_TO_STOCK = re.compile(
    r'"(\w+) *= *([^"]*)": (?:Specified option name is not valid here|Illegal (?:SSL|TLS) option'
    r"|Incorrect version of (?:SSL|TLS) protocol)"
)
TOP = Path(__file__).resolve().parents[2]
OURS = re.findall(r'\{"(\w+)", ', (TOP / "patches/forward_options.c").read_text())
OURS += re.findall(r'\bROW\("(\w+)"', (TOP / "stunnel/core/service.c").read_text())
assert {"xForwardedFor", "sendproxy"} <= set(OURS)
daemon_only = pytest.mark.skipif(PATCHED, reason="only the daemon does this")
takes_lines_in_order = stock_since(5, 45, "takes the connect lines in turn")
takes_sessions = pytest.mark.skipif(
    PATCHED and (5, 15) <= RELEASE < (5, 56),
    reason="stock 5.15 to 5.55 writes no tickets, and finds its sessions by chance with OpenSSL 3",
)
takes_any_name = stock_since(5, 37, "refuses a server name that no pattern matches")
as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can become someone else")


def can_mount():
    """Whether `unshare -m` gives mounts of one's own: not in a chroot whose root is no mount."""
    command = ["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"]
    return os.getuid() == 0 and subprocess.run(command, check=False).returncode == 0


# Of a handshake that OpenSSL runs on a stack of its own, so that it can be suspended.
OTHER_STACK = re.compile(
    r"==\d+==WARNING: ASan is ignoring requested __asan_handle_no_return: .*\n"
    r"(?:False positive error reports may follow\n)?(?:For details see .*\n)?"
)

os.environ["PATH"] += ":/usr/sbin"


def wait_for(predicate, what, seconds=DEADLINE):
    """Waits until predicate() is true and returns what it returned."""
    end = time.monotonic() + seconds
    while True:
        result = predicate()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s for: {what}")
        time.sleep(0.02)


_used_ports = set()


def free_port():
    """From below the range that the kernel gives to clients, so that it stays free."""
    while True:
        port = random.randrange(20000, 32000)
        if port in _used_ports or port in listening_ports():
            continue
        _used_ports.add(port)
        return port


def listening_sockets():
    """(port, inode) of TCP sockets that listen; asking the kernel costs the listener no connection."""
    sockets = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        if os.path.exists(table):
            rows = Path(table).read_text().splitlines()[1:]
            fields = [row.split() for row in rows]
            sockets |= {(int(f[1].rsplit(":", 1)[1], 16), f[9]) for f in fields if f[3] == "0A"}
    return sockets


def listening_ports():
    """TCP ports that something listens on."""
    return {port for port, _ in listening_sockets()}


def listening(endpoint):
    """`endpoint` is [HOST:]PORT or a unix path."""
    if endpoint.startswith("/"):
        return os.path.exists(endpoint)
    return int(endpoint.rsplit(":", 1)[-1]) in listening_ports()


def own_address():
    """An IPv4 address of this host that is not the loopback; a network of its own may get one."""
    found = subprocess.run(["ip", "-4", "-j", "addr"], check=True, capture_output=True, text=True)
    for link in json.loads(found.stdout):
        for one in link["addr_info"]:
            if not one["local"].startswith("127."):
                return one["local"]
    mine = "192.0.2.77"
    added = subprocess.run(["ip", "addr", "add", f"{mine}/32", "dev", "lo"], check=False)
    if added.returncode != 0:
        pytest.skip("this host has the loopback only")
    return mine


class Program:
    """A server in the foreground: `with` starts it, waits until it listens, and ends it."""

    name = None

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix=f"stunnel-test-{self.name}-"))
        self.folder.chmod(0o755)
        self.stderr = self.folder / "stderr"
        self.process = None
        self.pid = None

    def command(self):
        raise NotImplementedError

    def endpoints(self):
        """What it has to listen on before it counts as started."""
        raise NotImplementedError

    def environment(self):
        return os.environ

    def __enter__(self):
        with open(self.stderr, "ab") as output:
            self.process = self.spawn(stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        self.pid = self.process.pid
        try:
            wait_for(self._started, f"{self.name} to listen on {self.endpoints()}")
        except AssertionError as error:
            report = f"{error}\n{self.report()}"
            self._clean_up()
            raise AssertionError(report) from None
        return self

    def spawn(self, **streams):
        """Starts the process, as the leader of a session without a terminal."""
        return subprocess.Popen(
            self.command(),
            env=self.environment(),
            cwd=self.folder,
            start_new_session=True,
            **streams,
        )

    def __exit__(self, *_):
        try:
            self.stop()
        finally:
            self._clean_up()

    def _clean_up(self):
        """Ends what is left of the program and of what it started, and removes its folder."""
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _started(self):
        assert self.process.poll() is None, f"{self.name} ended"
        return all(listening(endpoint) for endpoint in self.endpoints())

    def signal(self, number):
        os.kill(self.pid, number)

    def processes(self):
        """Ids of the program and all its descendants."""
        found = [self.pid]
        for pid in found:
            with contextlib.suppress(OSError):  # it has just ended
                children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
                found += [int(child) for child in children.split()]
        return found

    def stop(self):
        if self.process and self.process.poll() is None:
            self.signal(signal.SIGTERM)
            self.process.wait(DEADLINE)

    def report(self):
        return self.stderr.read_text("latin-1") if self.stderr.exists() else ""


def service(connect, *options, name="web", accept=None):
    """A section that forwards to `connect`, a port of 127.0.0.1 or what the option takes."""
    accept = accept or f"127.0.0.1:{free_port()}"
    connect = f"127.0.0.1:{connect}" if isinstance(connect, int) else connect
    lines = [f"[{name}]", f"accept = {accept}", f"connect = {connect}", *options]
    return "\n".join(lines) + "\n"


class Stunnel(Program):
    """The daemon under test. `config` follows lines for log and certificate."""

    name = "stunnel"

    def __init__(self, config, binary=BINARY):
        super().__init__()
        self.binary = binary
        self.wrapper = []  # a command that runs it
        self.log = self.folder / "stunnel.log"
        self.config = self.folder / "stunnel.conf"
        self.write(config)

    def write(self, config):
        """The configuration that a reload will read; {folder} stands for the daemon's folder."""
        preset = f"""
            foreground = yes
            syslog = no
            debug = info
            output = {self.log}
            cert = {certificates().cert}
            key = {certificates().key}
            {UNLIKE_4}
        """
        text = preset + config.replace("{folder}", str(self.folder))
        if PATCHED:
            text = re.sub(r"^ *workers = .*\n", "", text, flags=re.M)
            option = OF_THE_DAEMON.search(text)
            if option:
                pytest.skip(f"only the daemon has {option[1]}")
        self.config.write_text("".join(f"{line.strip()}\n" for line in text.splitlines()))

    def __enter__(self):
        try:
            return super().__enter__()
        except AssertionError as error:
            unknown = UNKNOWN_TO_STOCK.search(str(error))
            if PATCHED and unknown and unknown[1] not in OURS:
                pytest.skip(f"this stock has no {unknown[1]} = {unknown[2]}")
            raise

    def command(self):
        return [*self.wrapper, self.binary, str(self.config)]

    def endpoints(self):
        return re.findall(r"^accept *= *(.*)$", self.config.read_text(), re.M)

    def _started(self):
        """The ports listen a little before the workers run and the pid file is there."""
        return super()._started() and (self._listens_at_paths() if PATCHED else self._accepts())

    def _listens_at_paths(self):
        """A socket of old stock has its path before it listens."""
        table = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()]
        listened = {fields[7] for fields in table if len(fields) > 7 and fields[3] == "00010000"}
        return {endpoint for endpoint in self.endpoints() if endpoint[0] == "/"} <= listened

    def _accepts(self):
        names = re.findall(r"^(debug|output) *=", self.config.read_text(), re.M)
        preset = sorted(names) == ["debug", "output"]
        return not preset or bool(self.log_lines("Accepting new connections"))

    @property
    def port(self):
        """Of the first service."""
        return int(self.endpoints()[0].rsplit(":", 1)[-1])

    def environment(self):
        sanitizer = f"log_path={self.folder}/sanitizer:print_stacktrace=1"
        options = {"ASAN_OPTIONS": sanitizer, "UBSAN_OPTIONS": sanitizer}
        if PATCHED:
            options["LSAN_OPTIONS"] = "exitcode=0"  # see sanitizer_report()
        return {**os.environ, **options}

    def log_text(self):
        return self.log.read_text("latin-1") if self.log.exists() else ""

    def log_lines(self, text):
        """The texts of the log lines that contain `text`, without date and id."""
        lines = [line.split("]: ", 1)[-1] for line in self.log_text().splitlines()]
        if PATCHED:  # stocks of 4.x have older words
            lines = [line.replace("SSL accepted: ", "TLS accepted: ") for line in lines]
            lines = [re.sub(r"^Service (\w.*) accepted", r"Service [\1] accepted", line) for line in lines]
            lines = [re.sub(r" ciphersuite (\S+ \()", r" ciphersuite: \1", line) for line in lines]
            lines = [
                re.sub(r"^Negotiated ciphers: (\S+) +(\S+) ", r"Negotiated \2 ciphersuite: \1 (", line)
                for line in lines
            ]
        return [line for line in lines if text in line]

    def wait_log(self, text, count=1):
        """Waits for `count` log lines that contain `text`; returns their texts."""
        wait_for(lambda: len(self.log_lines(text)) >= count, f"{count} log lines: {text}")
        return self.log_lines(text)

    def ended(self):
        """How many connections ended, either way."""
        lines = self.log_lines(" sent to socket")  # N byte(s), of old stock N bytes
        return sum(re.match(r"Connection [a-z/]+: ", line) is not None for line in lines)

    def wait_ended(self, count):
        wait_for(lambda: self.ended() >= count, f"{count} connections to end")

    def reload(self):
        """SIGHUP; returns when the daemon says that it took the configuration."""
        before = len(self.log_lines("Configuration successful"))
        sockets = listening_sockets()
        self.signal(signal.SIGHUP)
        self.wait_log("Configuration successful", before + 1)
        if PATCHED:
            wait_for(lambda: self._rebound(sockets), "stock to listen again")

    def _rebound(self, sockets):
        """Stock closes what it listened with, and refuses clients until it listens anew."""
        ports = {int(text.rsplit(":", 1)[-1]) for text in self.endpoints() if text[0] != "/"}
        return ports <= {port for port, _ in listening_sockets() - sockets}

    def replace_workers(self):
        """reload(); returns when all that served before have ended, as nobody is connected any more."""
        old = self.processes()[1:]
        self.reload()
        self.wait_gone(old)

    def wait_gone(self, pids):
        """Waits until none of these processes is the daemon's any more."""
        wait_for(lambda: not set(pids) & set(self.processes()), f"{pids} to end")

    def stop(self):
        super().stop()
        status = self.process.returncode
        assert status == 0 or self._died_as_stock_may(), f"it ended with {status}\n{self.report()}"
        assert not self.sanitizer_report(), self.sanitizer_report()
        assert "INTERNAL ERROR" not in self.log_text()

    def _died_as_stock_may(self):
        """Stock does not join the threads whose end it waits for, and before 5.54 waits for none: one
        that is at work when the process cleans OpenSSL up finds its locks gone and crashes, in one
        of ten ends of two hundred connections, unpatched as well.
        4.46 ends with 2 or 1 when it is told to end."""
        told = self.log_lines("Terminated") or self.log_lines("Received signal ")
        if stock_before(4, 47) and told and self.process.returncode in (1, 2):
            return True
        last = "Terminated" if stock_before(5, 54) else "Service threads terminated"
        return PATCHED and self.log_lines(last) and self.process.returncode == -signal.SIGSEGV

    def sanitizer_report(self):
        texts = [path.read_text("latin-1") for path in self.folder.glob("sanitizer.*")]
        texts = [text for text in (OTHER_STACK.sub("", text) for text in texts) if text]
        if re.search(r"ERROR: \w+Sanitizer|runtime error:", super().report()):
            texts.append(super().report())
        return "\n".join(text for text in texts if not self._is_stocks(text))

    def _is_stocks(self, report):
        """Stock ends with some 20 blocks unfreed, 5.75 with one more a service, however many
        connections there were."""
        leaks = re.search(r"SUMMARY: AddressSanitizer: \d+ byte\(s\) leaked in (\d+) alloc", report)
        ours = re.search(r"forward|core/|conn/|tls/", report)
        expected = 20 + len(re.findall(r"^\[", self.config.read_text(), re.M))
        return PATCHED and leaks is not None and int(leaks[1]) <= expected and not ours

    def report(self):
        return f"{super().report()}\n--- log:\n{self.log_text()}\n{self.sanitizer_report()}"


class Stock(Stunnel):
    """Debian's stock stunnel, for tests that put the daemon beside it; or they are skipped."""

    name = "stock"
    BINARY = shutil.which("stunnel4")

    def __init__(self, config):
        if PATCHED or not self.BINARY:
            pytest.skip("this is for the daemon, beside Debian's stunnel4")
        super().__init__(re.sub(r"^ *workers *=.*\n", "", config, flags=re.M), self.BINARY)

    def stop(self):
        """It crashes at times when it is told to end: see Stunnel._died_as_stock_may()."""
        Program.stop(self)


beside_stock = pytest.mark.skipif(
    PATCHED or not Stock.BINARY, reason="this is for the daemon, beside Debian's stunnel4"
)


class Haproxy(Program):
    """HTTP mode with keep-alive unless `config` says otherwise."""

    name = "haproxy"

    def __init__(self, config):
        super().__init__()
        self.config = self.folder / "haproxy.cfg"
        self.config.write_text(
            f"""
defaults
    mode http
    timeout connect 20s
    timeout client 60s
    timeout server 60s
{config}
"""
        )

    def command(self):
        return ["haproxy", "-db", "-f", str(self.config)]

    def endpoints(self):
        return re.findall(r"^ *bind (?:ipv6@)?(\S+)", self.config.read_text(), re.M)


class Hitch(Program):
    """Ends TLS, and sends what is in it to `to`."""

    name = "hitch"

    def __init__(self, to, *options):
        super().__init__()
        self.port = free_port()
        self.to = to
        self.options = options
        own = certificates()
        self.pem = self.folder / "own.pem"
        self.pem.write_text(own.key.read_text() + own.cert.read_text())

    def command(self):
        ends = [f"--frontend=[127.0.0.1]:{self.port}", f"--backend=[127.0.0.1]:{self.to}"]
        user = ["--user=nobody"] if os.getuid() == 0 else []
        return ["hitch", *ends, *user, *self.options, str(self.pem)]

    def endpoints(self):
        return [str(self.port)]


class HttpServer(Program):
    """nginx or apache2 on `port`, serving the files in `root`, logging every request."""

    def __init__(self):
        super().__init__()
        self.port = free_port()
        self.root = self.folder / "root"
        self.root.mkdir()
        self.log = self.folder / "access.log"
        (self.root / "index.html").write_text("<p>hello</p>\n")
        self.config = self.folder / f"{self.name}.conf"

    def endpoints(self):
        return [str(self.port)]

    def log_lines(self):
        return self.log.read_text().splitlines() if self.log.exists() else []

    def wait_log(self, count):
        """Waits until `count` requests are logged; returns their lines."""
        wait_for(lambda: len(self.log_lines()) >= count, f"{count} requests in {self.name}'s log")
        return self.log_lines()

    def report(self):
        return super().report() + "\n".join(self.log_lines()[-20:])


class Nginx(HttpServer):
    """A log line is: REQUEST|X-FORWARDED-FOR|PEER, as nginx sees them."""

    name = "nginx"

    def __init__(self, listen="", server="", http=""):
        """Lines behind the address, of the server, and beside it."""
        super().__init__()
        temporary = "".join(
            f"{kind}_temp_path {self.folder}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        self.config.write_text(
            f"""
{"user root;" if os.getuid() == 0 else ""}
daemon off;
worker_processes 1;
pid {self.folder}/pid;
error_log stderr;
events {{ worker_connections 4096; }}
http {{
    {temporary}
    log_format seen '$request|$http_x_forwarded_for|$remote_addr';
    access_log {self.log} seen;
    keepalive_requests 100000;
    client_max_body_size 0;
    {http}
    server {{
        listen 127.0.0.1:{self.port} {listen};
        root {self.root};
        {server}
    }}
}}
"""
        )

    def command(self):
        return ["nginx", "-e", "stderr", "-c", str(self.config)]


class Apache(HttpServer):
    """A log line is: REQUEST|X-FORWARDED-FOR|PEER, as apache sees them."""

    name = "apache2"
    MODULES = Path("/usr/lib/apache2/modules")

    def __init__(self, config=""):
        super().__init__()
        modules = ("mpm_event", "authz_core", "mime", "dir", "headers")
        load = "".join(f"LoadModule {m}_module {self.MODULES}/mod_{m}.so\n" for m in modules)
        self.config.write_text(
            f"""
{load}
ServerRoot {self.folder}
ServerName localhost
DefaultRuntimeDir {self.folder}
PidFile {self.folder}/pid
ErrorLog {self.folder}/stderr
TypesConfig /etc/mime.types
{"User www-data" if os.getuid() == 0 else ""}
{"Group www-data" if os.getuid() == 0 else ""}
Listen 127.0.0.1:{self.port}
ServerLimit 2
StartServers 1
MaxRequestWorkers 50
ThreadsPerChild 25
MaxKeepAliveRequests 0
KeepAliveTimeout 60
DocumentRoot {self.root}
DirectoryIndex index.html
LogFormat "%r|%{{X-Forwarded-For}}i|%h" seen
CustomLog {self.log} seen
{config}
"""
        )

    def command(self):
        return ["apache2", "-DFOREGROUND", "-f", str(self.config)]
