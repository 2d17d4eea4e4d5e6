# SPDX-License-Identifier: ISC
"""protocol = NAME: what is said before TLS, with Debian's stunnel beside the daemon."""

import socket
import ssl
import struct
import threading
from contextlib import closing

import pytest

from certs import certificates
from peers import PATCHED, Stunnel, service, wait_for
from recorder import Recorder
from tls_client import DEADLINE, TlsClient

pytestmark = pytest.mark.skipif(PATCHED, reason="a patched stock negotiates by its own code")

SSL_REQUEST = struct.pack(">II", 8, 80877103)
GSSENC_REQUEST = struct.pack(">II", 8, 80877104)


def tell(*lines):
    return "".join(f"{line}\r\n" for line in lines).encode()


class Plain:
    """A connection in plain text, whose dialogue is kept."""

    def __init__(self, sock):
        self.sock = sock
        sock.settimeout(DEADLINE)
        self.heard = []

    def say(self, *lines):
        self.sock.sendall(tell(*lines))

    def hear(self, lines=1):
        """Takes so many lines, byte by byte, since TLS may follow."""
        line = b""
        for _ in range(lines):
            line = b""
            while not line.endswith(b"\n"):
                byte = self.sock.recv(1)
                assert byte, f"it ended behind {self.heard} {line}"
                line += byte
            self.heard.append(line)
        return line

    def take(self, size):
        data = b""
        while len(data) < size and (more := self.sock.recv(size - len(data))):
            data += more
        self.heard.append(data)
        return data

    def rest(self):
        """What comes until the end, which is a reset or not."""
        data = b""
        try:
            while more := self.sock.recv(65536):
                data += more
        except ConnectionError:
            return data, "reset"
        return data, "eof"


def connect(port):
    return Plain(socket.create_connection(("127.0.0.1", port)))


# ---- server mode ----------------------------------------------------------------------------


def greets(greeting, answers=None):
    """A backend that greets, and answers lines: itself, or as `answers` says."""

    def serve(connection):
        connection.sock.sendall(tell(*greeting))
        while (line := connection.take_until(b"\r\n")) is not None:
            text = line.decode().rstrip()
            connection.sock.sendall(tell(*(answers or {}).get(text, [f"echo {text}"])))

    return Recorder(serve)


def smtp(client):
    client.hear()
    client.say("EHLO client.test")
    client.hear(2)
    client.say("STARTTLS")
    client.hear()


def smtp_of_three_lines(client):
    client.hear(3)
    client.say("ehlo client.test")
    client.hear(2)
    client.say("starttls")
    client.hear()


def pop3(client):
    client.hear()
    client.say("CAPA")
    client.hear(3)
    client.say("STLS")
    client.hear()


def imap(client):
    client.hear()
    client.say("a CAPABILITY")
    client.hear(2)
    client.say("b starttls")
    client.hear()


def pgsql(client):
    client.sock.sendall(SSL_REQUEST)
    assert client.take(1) == b"S"


def cifs(client):
    client.sock.sendall(b"\x81\0\0\x44" + 0x44 * b"C")
    assert client.take(5) == b"\x83\0\0\1\x8e"


def silent(client):
    """One who begins TLS at once, as a client of smtps does."""


CAPABILITY = {"a CAPABILITY": ["* CAPABILITY IMAP4rev1 LOGIN", "a OK done"]}
SERVERS = {
    "smtp": ("smtp", (["220 mail.test ESMTP at your service"],), smtp),
    "smtp-lines": ("SMTP", (["220-mail.test a", "220-b", "220 c"],), smtp_of_three_lines),
    "pop3": ("pop3", (["+OK ready"],), pop3),
    "imap": ("imap", (["* OK [CAPABILITY IMAP4rev1] ready"], CAPABILITY), imap),
    "pgsql": ("pgsql", ([],), pgsql),
    "cifs": ("cifs", ([],), cifs),
}


@pytest.fixture(params=SERVERS)
def server(request):
    return SERVERS[request.param]


def speak(port, dialogue):
    """What is heard before TLS, and the first two lines inside."""
    with closing(connect(port).sock) as sock:
        client = Plain(sock)
        dialogue(client)
        with TlsClient(sock) as tls:
            tls.send(tell("inside"))
            inside = b""
            while b"inside\r\n" not in inside and (more := tls.recv()):
                inside += more
            return client.heard, inside


def test_a_server_negotiates_as_stock_does(start, both, server):
    protocol, said, dialogue = server
    backend = start(greets(*said))
    stock, ours = both(backend, f"protocol = {protocol}")
    heard = speak(stock.port, dialogue)
    assert heard[1].endswith(b"echo inside\r\n")
    assert speak(ours.port, dialogue) == heard


@pytest.mark.parametrize("protocol", ["smtp", "imap"])
def test_a_client_that_begins_tls_at_once_is_let_in(start, front, protocol):
    backend = start(greets(["220 mail.test ESMTP"]))
    _, inside = speak(front(backend, f"protocol = {protocol}").port, silent)
    assert inside == tell("220 mail.test ESMTP", "echo inside")


@pytest.mark.parametrize("name", SERVERS)
def test_what_is_sent_ahead_of_tls_never_arrives(start, front, name):
    protocol, said, dialogue = SERVERS[name]
    backend = start(greets(*said))
    stunnel = front(backend, f"protocol = {protocol}")
    with closing(connect(stunnel.port).sock) as sock:
        client = Plain(sock)
        say, send = client.say, sock.sendall

        class Ahead:
            """Sends a command behind the one that TLS follows."""

            heard, hear, take = client.heard, client.hear, client.take

            @staticmethod
            def say(line):
                last = line.lower().endswith(("starttls", "stls"))
                say(*[line, "RCPT injected"] if last else [line])

            class sock:
                sendall = staticmethod(lambda data: send(data + tell("injected")))

        with pytest.raises((AssertionError, ConnectionError)):
            dialogue(Ahead)
        assert client.rest()[0] == b""
    stunnel.wait_log("Plain text was sent ahead of TLS")
    stunnel.wait_ended(1)
    assert all(b"injected" not in connection.data for connection in backend.connections)


@pytest.mark.parametrize("name", ["smtp", "pop3", "imap"])
def test_a_line_without_end_is_bounded(start, front, name):
    protocol, said, _ = SERVERS[name]
    backend = start(greets(*said))
    stunnel = front(backend, f"protocol = {protocol}")
    with closing(connect(stunnel.port).sock) as sock:
        client = Plain(sock)
        client.hear()
        with pytest.raises(ConnectionError):
            while True:
                sock.sendall(65536 * b"a")
    stunnel.wait_log("Line too long")


def refused_by(start, front, protocol, bytes_sent, greeting=()):
    backend = start(greets(list(greeting)))
    stunnel = front(backend, f"protocol = {protocol}")
    with closing(connect(stunnel.port).sock) as sock:
        client = Plain(sock)
        if greeting:
            client.hear()
        sock.sendall(bytes_sent)
        return stunnel, client.rest(), backend


def test_postgres_with_gssapi_is_told_to_come_again(start, front):
    _, (answer, how), _ = refused_by(start, front, "pgsql", GSSENC_REQUEST)
    assert answer == b"E\0\0\0=SERROR\0CXX000\0MSSL expected but not requested by client\0\0"
    assert how == "eof"


def test_postgres_without_tls_is_refused(start, front):
    stunnel, (answer, how), backend = refused_by(start, front, "pgsql", b"\0\0\0\x08\0\3\0\0")
    assert (answer, how) == (b"", "reset")
    stunnel.wait_log("PostgreSQL client did not request TLS, rejecting")
    assert backend.connections == []


def test_cifs_without_a_session_request_is_refused(start, front):
    _, (answer, _), _ = refused_by(start, front, "cifs", b"\x00\0\0\0")
    assert answer in (b"\x83\0\0\1\x81", b"")


def test_a_cifs_session_request_without_names_has_nothing_behind_it(start, front):
    stunnel, (answer, how), _ = refused_by(start, front, "cifs", b"\x81\0\0\0injected")
    assert (answer, how) == (b"", "reset")
    stunnel.wait_log("Plain text was sent ahead of TLS")


def test_an_imap_client_that_logs_in_without_tls_is_sent_away(start, front):
    sent, greeting = tell("a LOGIN me secret"), ["* OK ready"]
    _, (answer, how), backend = refused_by(start, front, "imap", sent, greeting)
    assert answer == tell("* BYE stunnel: unexpected command", "a BAD LOGIN unexpected")
    assert how == "eof"
    assert backend.connections[0].data in (b"", tell("stunnel LOGOUT"))


@pytest.mark.parametrize("command", ["+ CAPABILITY", "* CAPABILITY", " CAPABILITY", "a CAPABILITY {99}"])
def test_an_imap_command_that_would_go_on_behind_tls_is_not_passed(start, front, command):
    """A literal would take the first commands inside TLS, and a line that looks like its own end
    would leave the server's next lines to them."""
    _, (answer, how), backend = refused_by(start, front, "imap", tell(command), ["* OK ready"])
    assert answer.startswith(tell("* BYE stunnel: unexpected command"))
    assert how == "eof"
    assert backend.connections[0].data in (b"", tell("stunnel LOGOUT"))


def test_a_host_that_is_too_long_for_a_name_is_none(start, front):
    """Cut to what has room, its beginning would be the number of a port of this host."""
    backend = start(greets([]))
    stunnel = front(start(greets([])), "protocol = connect")
    with closing(connect(stunnel.port).sock) as sock:
        client = Plain(sock)
        client.say(f"CONNECT {backend.port:0271d}.test:80 HTTP/1.1", "")
        assert client.hear() == b"HTTP/1.0 404 Not Found\r\n"


def test_a_client_that_goes_on_talking_is_refused(start, front):
    """Each byte is one read(2): all others of the worker would wait for one who never stops."""
    stunnel = front(start(greets([])), "protocol = connect")
    with closing(connect(stunnel.port).sock) as sock:
        client = Plain(sock)
        try:
            client.say("CONNECT 127.0.0.1:9 HTTP/1.1", *["a: b"] * 12000)
        except ConnectionError:
            pass  # it was refused before it was through
        assert client.rest() == (b"", "reset")
    stunnel.wait_log("protocol = connect: the client says more than 65536 bytes")


def test_an_smtp_client_that_wants_no_tls_is_refused(start, front):
    sent, greeting = tell("MAIL FROM:<>"), ["220 mail.test"]
    stunnel, (_, how), backend = refused_by(start, front, "smtp", sent, greeting)
    assert how == "reset"
    stunnel.wait_log("Unknown client EHLO")
    assert backend.connections[0].data == b""


# ---- client mode ----------------------------------------------------------------------------


class Speaker:
    """A server that begins TLS where its dialogue ends; keeps what it heard before and inside."""

    def __init__(self, dialogue, inside=None):
        self.dialogue, self.inside = dialogue, inside or self.echo
        self.heard, self.seen = [], []
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificates().cert, certificates().key)

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)  # or its thread would go on listening in accept(2)
        self.thread.join(DEADLINE)
        self.listener.close()

    def report(self):
        return f"speaker heard {self.heard}, inside {self.seen}"

    def run(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        client = Plain(sock)
        try:
            self.dialogue(client)
            self.heard.append(client.heard)
            with self.context.wrap_socket(sock, server_side=True) as tls:
                inside = Plain(tls)
                self.inside(inside)
        except (OSError, AssertionError):
            pass
        finally:
            sock.close()

    def echo(self, client):
        while line := client.hear():
            self.seen.append(line)
            client.sock.sendall(b"echo " + line)


def smtp_server(client):
    client.say("220-mail.test ESMTP", "220 ready")
    client.hear()
    client.say("250-mail.test", "250-SIZE 1", "250 STARTTLS")
    client.hear()
    client.say("220 2.0.0 go ahead")


def pop3_server(client):
    client.say("+OK ready")
    client.hear()
    client.say("+OK go")


def imap_server(client):
    client.say("* OK [CAPABILITY STARTTLS] ready")
    client.hear()
    client.say("stunnel OK go")


def nntp_server(client):
    client.say("201 ready")
    client.hear()
    client.say("382 go")


def pgsql_server(client):
    client.take(8)
    client.sock.sendall(b"S")


def cifs_server(client):
    client.take(4)
    client.sock.sendall(b"\x83\0\0\1\x8e")


def ldap_server(client):
    client.take(31)
    client.sock.sendall(bytes.fromhex("300c02010178070a010004000400"))


def ldap_server_of_long_lengths(client):
    client.take(31)
    client.sock.sendall(bytes.fromhex("308400000010020101788400000007") + b"\x0a\1\0\4\0\4\0")


def connect_server(client):
    while client.hear() != b"\r\n":
        pass
    client.say("HTTP/1.1 200 Connection established", "Via: me", "")


HOST = "protocolHost = www.example.test:443"
CLIENTS = {
    "smtp": (smtp_server, 2, []),
    "smtp-host": (smtp_server, 2, ["protocolHost = client.example.test"]),
    "pop3": (pop3_server, 1, []),
    "imap": (imap_server, 1, []),
    "nntp": (nntp_server, 1, []),
    "pgsql": (pgsql_server, 0, []),
    "cifs": (cifs_server, 0, []),
    "ldap": (ldap_server, 0, []),
    "ldap-lengths": (ldap_server_of_long_lengths, 0, []),
    "connect": (connect_server, 0, [HOST]),
    "connect-login": (
        connect_server,
        0,
        [HOST, "protocolUsername = me", "protocolPassword = secret", "protocolDomain = any"],
    ),
    "connect-fields": (connect_server, 0, [HOST, "protocolHeader = X-A: b", "protocolHeader = C: d"]),
}


def options_of(name):
    return ["client = yes", f"protocol = {name.split('-')[0]}", *CLIENTS[name][2]]


def as_client(port, name, *options):
    return service(port, *options_of(name), *options)


def ask(stunnel, lines, what="inside"):
    """What a plain client hears: the greeting that is passed on, and an answer from inside."""
    with closing(connect(stunnel.port).sock) as sock:
        client = Plain(sock)
        client.hear(lines)
        client.say(what)
        client.hear()
        return client.heard


@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_negotiates_as_stock_does(start, both, name):
    dialogue, lines, _ = CLIENTS[name]
    speaker = start(Speaker(dialogue))
    stock, ours = both(speaker, *options_of(name))
    expected = ask(stock, lines)
    assert expected[-1] == b"echo inside\r\n"
    assert ask(ours, lines) == expected
    assert speaker.heard[1] == speaker.heard[0]
    ours.wait_log("TLS connected: new session negotiated")


class Ahead:
    """A server that sends something in plain text behind the word that TLS follows."""

    def __init__(self, client):
        self.heard, self.hear, self.take = client.heard, client.hear, client.take
        self.sock, self.send = self, client.sock.sendall

    def say(self, *lines):
        self.send(tell(*lines) + (b"injected\r\n" if self.heard else b""))

    def sendall(self, data):
        self.send(data + b"injected")


@pytest.mark.parametrize("name", CLIENTS)
def test_what_a_server_sends_ahead_of_tls_never_arrives(start, name):
    dialogue, lines, _ = CLIENTS[name]
    speaker = start(Speaker(lambda client: dialogue(Ahead(client))))
    stunnel = start(Stunnel(as_client(speaker.port, name)))
    with closing(connect(stunnel.port).sock) as sock:
        assert b"injected" not in Plain(sock).rest()[0]
    stunnel.wait_ended(1)
    assert stunnel.log_lines("Plain text was sent ahead of TLS") or stunnel.log_lines("compliant")


def no_tls_server(client):
    client.say("220 mail.test")
    client.hear()
    client.say("250 mail.test")
    client.hear()
    client.say("502 what?")
    assert client.rest()[0] == b""


def test_a_server_without_starttls_gets_nothing_in_plain_text(start):
    speaker = start(Speaker(no_tls_server))
    stunnel = start(Stunnel(as_client(speaker.port, "smtp")))
    with closing(connect(stunnel.port).sock) as sock:
        Plain(sock).rest()
    stunnel.wait_log("Remote server is not RFC 2487 compliant")
    assert speaker.seen == []


def test_samba_of_today_is_no_server_of_cifs(start):
    """What Debian's smbd 4.17 was seen to say, on ports 139 and 445: "called name not present", and not
    0x8e, which is to begin TLS. Nothing follows, neither TLS nor what the client has sent."""
    rest, sent = [], threading.Event()

    def smbd(client):
        assert client.take(4) == b"\x81\0\0\0"
        sent.wait(DEADLINE)
        client.sock.sendall(b"\x83\0\0\1\x82")
        rest.append(client.rest()[0])

    speaker = start(Speaker(smbd))
    stunnel = start(Stunnel(as_client(speaker.port, "cifs")))
    with closing(connect(stunnel.port).sock) as sock:
        sock.sendall(b"secret")
        sent.set()
        Plain(sock).rest()
    stunnel.wait_ended(1)
    wait_for(lambda: rest, "smbd to be left")
    assert rest == [b""]


def login_server(answers):
    def serve(client):
        for answer in answers:
            client.hear()
            client.say(*answer)
        line = client.hear()
        client.sock.sendall(b"echo " + line)
        client.sock.recv(1)

    return serve


LOGINS = {
    "plain": [["250-mail.test", "250 AUTH PLAIN"], ["235 welcome"]],
    "login": [["250 AUTH LOGIN"], ["334 VXNlcm5hbWU6"], ["334 UGFzc3dvcmQ6"], ["235 welcome"]],
}


@pytest.mark.parametrize("how", LOGINS)
def test_smtp_logs_in_inside_tls(start, how):
    heard = []

    def inside(client):
        heard.append(client.heard)
        login_server(LOGINS[how])(client)

    speaker = start(Speaker(smtp_server, inside))
    options = [
        "protocolUsername = me",
        "protocolPassword = secret",
        f"protocolAuthentication = {how}",
    ]
    stunnel = start(Stunnel("debug = debug\n" + as_client(speaker.port, "smtp", *options)))
    assert ask(stunnel, 2)[-1] == b"echo inside\r\n"
    said = {
        "plain": ["AUTH PLAIN AG1lAHNlY3JldA=="],
        "login": ["AUTH LOGIN", "bWU=", "c2VjcmV0"],
    }[how]
    assert heard[0] == [tell(line) for line in ["EHLO localhost", *said, "inside"]]
    assert "c2VjcmV0" not in stunnel.log_text() and "AG1lAHN" not in stunnel.log_text()


def socks_server(client):
    client.take(3)
    client.sock.sendall(b"\5\0")
    client.take(4)
    client.take(1)
    client.take(client.heard[-1][0] + 2)
    client.sock.sendall(b"\5\0\0\1\x7f\0\0\1\0\x50")
    client.sock.sendall(b"echo " + client.hear())
    client.sock.recv(1)


def test_a_socks_server_is_asked_for_a_name_inside_tls(start):
    heard = []

    def inside(client):
        heard.append(client.heard)
        socks_server(client)

    speaker = start(Speaker(lambda client: None, inside))
    config = service(speaker.port, "client = yes", "protocol = socks", HOST)
    assert ask(start(Stunnel(config)), 0) == [b"echo inside\r\n"]
    name = b"www.example.test" + struct.pack(">H", 443)
    assert heard[0][:4] == [b"\5\1\0", b"\5\1\0\3", b"\x10", name]


@pytest.mark.parametrize(
    "options, why",
    [
        (["protocol = nonsense"], "Protocol not supported"),
        (["protocol = nntp"], "The configured protocol is not supported in the server mode"),
        (["protocol = smtp", "xForwardedFor = yes"], "leads to no HTTP"),
        (["protocol = imap", "redirect = 1"], "incompatible with the specified protocol"),
        (["protocol = connect", "client = yes"], "protocolHost not specified"),
        (["protocol = capwin"], "is not built"),
    ],
)
def test_what_cannot_be_is_refused_at_the_load(options, why):
    stunnel = Stunnel(service(1, *options))
    with pytest.raises(AssertionError, match=why):
        stunnel.__enter__()
