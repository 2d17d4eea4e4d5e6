# SPDX-License-Identifier: ISC
"""protocol = NAME with servers and clients that are real: dovecot, postfix, squid, slapd, PostgreSQL, INN."""

import imaplib
import os
import poplib
import shutil
import smtplib
import subprocess
from pathlib import Path

import pytest

from certs import certificates
from peers import PATCHED, Program, Stunnel, as_root, free_port, service, wait_for
from recorder import Recorder
from tls_client import DEADLINE, PlainClient, client_context

pytestmark = pytest.mark.skipif(PATCHED, reason="a patched stock negotiates by its own code")


def needs(*programs):
    missing = [name for name in programs if shutil.which(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"there is no {' '.join(missing)} here")


class Dovecot(Program):
    """IMAP and POP3 on ports of loopback, with STARTTLS; one user, me, whose password is secret."""

    name = "dovecot"

    def __init__(self):
        super().__init__()
        self.imap, self.pop3 = free_port(), free_port()
        self.logins = self.folder / "logins"  # where another server asks it about passwords
        self.folder.chmod(0o755)
        (self.folder / "mail").mkdir()
        (self.folder / "mail").chmod(0o777)
        (self.folder / "users").write_text("me:{PLAIN}secret::::::\n")
        (self.folder / "dovecot.conf").write_text(
            f"""
base_dir = {self.folder}/run
log_path = {self.stderr}
protocols = imap pop3
listen = 127.0.0.1
ssl = yes
ssl_cert = <{certificates().cert}
ssl_key = <{certificates().key}
disable_plaintext_auth = no
auth_mechanisms = plain login
mail_location = maildir:{self.folder}/mail
mail_uid = nobody
mail_gid = nogroup
first_valid_uid = 1
default_login_user = nobody
default_internal_user = nobody
default_internal_group = nogroup
passdb {{
  driver = passwd-file
  args = {self.folder}/users
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={self.folder}/mail
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {self.imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service pop3-login {{
  chroot =
  inet_listener pop3 {{
    port = {self.pop3}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
service anvil {{
  chroot =
}}
service auth {{
  unix_listener {self.logins} {{
    mode = 0666
  }}
}}
"""
        )

    def command(self):
        return ["dovecot", "-F", "-c", str(self.folder / "dovecot.conf")]

    def endpoints(self):
        return [str(self.imap), str(self.pop3)]


def trusting():
    context = client_context()
    context.check_hostname = False
    return context


def ask_imap(client):
    client.login("me", "secret")
    kind, found = client.select("INBOX")
    client.logout()
    assert (kind, found) == ("OK", [b"0"])


def ask_pop3(client):
    client.user("me")
    client.pass_("secret")
    assert client.stat() == (0, 0)
    client.quit()


@as_root
@needs("dovecot")
def test_dovecot_behind_a_server(start):
    """Its clients ask for TLS, which ends here."""
    dovecot = start(Dovecot())
    imap = start(Stunnel(service(dovecot.imap, "protocol = imap")))
    client = imaplib.IMAP4("127.0.0.1", imap.port, timeout=DEADLINE)
    client.starttls(trusting())
    ask_imap(client)
    pop3 = start(Stunnel(service(dovecot.pop3, "protocol = pop3")))
    client = poplib.POP3("127.0.0.1", pop3.port, timeout=DEADLINE)
    client.stls(trusting())
    ask_pop3(client)


@as_root
@needs("dovecot")
def test_dovecot_in_front_of_a_client(start):
    """It is asked for TLS, of which its clients know nothing."""
    dovecot = start(Dovecot())
    options = ["client = yes", "verifyChain = yes", f"CAfile = {certificates().ca}"]
    imap = start(Stunnel(service(dovecot.imap, "protocol = imap", *options)))
    ask_imap(imaplib.IMAP4("127.0.0.1", imap.port, timeout=DEADLINE))
    pop3 = start(Stunnel(service(dovecot.pop3, "protocol = pop3", *options)))
    ask_pop3(poplib.POP3("127.0.0.1", pop3.port, timeout=DEADLINE))
    for stunnel in (imap, pop3):
        stunnel.wait_log("TLS connected: new session negotiated")


class Postfix(Program):
    """A server that takes mail for you@mail.test after STARTTLS, and from `logins`, a Dovecot's socket,
    AUTH inside of it; mail for anyone else only from who is logged in."""

    name = "postfix"

    def __init__(self, logins):
        super().__init__()
        self.port = free_port()
        self.folder.chmod(0o755)
        self.mail = self.folder / "mail"
        for name in ("queue", "data", "mail"):
            (self.folder / name).mkdir()
        shutil.chown(self.folder / "data", "postfix")
        shutil.chown(self.mail, "nobody")
        (self.folder / "main.cf").write_text(
            f"""
compatibility_level = 3.6
queue_directory = {self.folder}/queue
data_directory = {self.folder}/data
maillog_file = {self.folder}/log
maillog_file_prefixes = {self.folder}
myhostname = mail.test
mydestination =
alias_maps =
inet_protocols = ipv4
smtpd_tls_security_level = encrypt
smtpd_tls_cert_file = {certificates().cert}
smtpd_tls_key_file = {certificates().key}
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {logins}
smtpd_recipient_restrictions = permit_sasl_authenticated, reject
virtual_mailbox_domains = mail.test
virtual_mailbox_base = {self.mail}
virtual_mailbox_maps = inline:{{you@mail.test=you}}
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
"""
        )
        (self.folder / "master.cf").write_text(
            f"""
127.0.0.1:{self.port} inet n - n - - smtpd
postlog unix-dgram n - n - 1 postlogd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
proxymap unix - - n - - proxymap
tlsmgr unix - - n 1000? 1 tlsmgr
virtual unix - n n - - virtual
"""
        )
        subprocess.run(["postfix", "-c", self.folder, "check"], check=True, capture_output=True)

    def command(self):
        return ["/usr/lib/postfix/sbin/master", "-c", str(self.folder), "-d"]

    def endpoints(self):
        return [str(self.port)]

    def report(self):
        log = self.folder / "log"
        return super().report() + (log.read_text("latin-1") if log.exists() else "")


def send_mail(port, text):
    """By a client that knows nothing of TLS."""
    with smtplib.SMTP("127.0.0.1", port, "client.test", timeout=DEADLINE) as client:
        return client.sendmail("me@mail.test", ["you@mail.test"], f"Subject: {text}\r\n\r\n")


@as_root
@needs("postfix", "dovecot")
def test_postfix_in_front_of_a_client(start):
    """The login is ours, inside the TLS that we asked for; a wrong one, or none, sends no mail."""
    postfix = start(Postfix(start(Dovecot()).logins))
    options = ["client = yes", "protocol = smtp", "verifyChain = yes", f"CAfile = {certificates().ca}"]
    options += ["protocolUsername = me", "protocolAuthentication = "]
    for kind in ("plain", "login"):
        login = [*options[:-1], options[-1] + kind, "protocolPassword = secret"]
        stunnel = start(Stunnel(service(postfix.port, *login)))
        assert send_mail(stunnel.port, kind) == {}
        stunnel.wait_log("TLS connected: new session negotiated")
    box = postfix.mail / "you"
    sent = ["Subject: plain", "Subject: login"]

    def subjects():
        text = box.read_text().splitlines() if box.exists() else []
        return sorted(line for line in text if line.startswith("Subject: "))

    wait_for(lambda: subjects() == sorted(sent), "two mails")
    without = start(Stunnel(service(postfix.port, *options[:4])))
    with pytest.raises(smtplib.SMTPRecipientsRefused, match="Access denied"):
        send_mail(without.port, "no login")
    wrong = start(Stunnel(service(postfix.port, *options[:5], "protocolPassword = wrong")))
    with pytest.raises(smtplib.SMTPServerDisconnected):
        send_mail(wrong.port, "wrong")
    assert subjects() == sorted(sent)


class Squid(Program):
    """A proxy that opens tunnels to any port of loopback; with `login` to me, whose password is secret.

    With login="ntlm" by NTLM: its helper takes any name whose response has the right form."""

    name = "squid"
    NTLM = Path("/usr/lib/squid/ntlm_fake_auth")

    def __init__(self, login=None):
        super().__init__()
        self.port = free_port()
        self.folder.chmod(0o777)
        helper = self.folder / "login"
        helper.write_text(
            "#!/bin/sh\nwhile read -r user word; do\n"
            '[ "$user $word" = "me secret" ] && echo OK || echo ERR\ndone\n'
        )
        helper.chmod(0o755)
        program = self.NTLM if login == "ntlm" else helper
        known = f"auth_param {login} program {program}\nacl known proxy_auth REQUIRED\n"
        known += "http_access allow known\n"
        (self.folder / "squid.conf").write_text(
            f"""
http_port 127.0.0.1:{self.port}
pid_filename {self.folder}/pid
logformat seen %rm %un
access_log stdio:{self.folder}/access.log seen
cache_log {self.folder}/cache.log
cache deny all
shutdown_lifetime 0 seconds
coredump_dir {self.folder}
pinger_enable off
max_filedescriptors 1024
{known if login else "http_access allow all"}
http_access deny all
"""
        )

    def command(self):
        return ["squid", "-N", "-f", str(self.folder / "squid.conf")]

    def endpoints(self):
        return [str(self.port)]

    def report(self):
        log = self.folder / "cache.log"
        return super().report() + (log.read_text("latin-1") if log.exists() else "")


def curl(port, *options):
    command = ["curl", "-sS", "-m", str(DEADLINE), "-o", "-", "-w", "%{http_code}", *options]
    done = subprocess.run(
        [*command, f"http://127.0.0.1:{port}/"], check=False, capture_output=True, text=True
    )
    return done.stdout


@needs("squid", "curl")
def test_a_client_goes_through_squid(start):
    """curl - our client - squid - our server - the web."""
    squid, backend = start(Squid()), start(Recorder())
    server = start(Stunnel(service(backend.port)))
    options = ["client = yes", "protocol = connect", f"protocolHost = 127.0.0.1:{server.port}"]
    client = start(Stunnel(service(squid.port, *options)))
    assert curl(client.port) == "ok200"


@needs("squid", "curl")
def test_a_client_logs_in_at_squid(start):
    squid, backend = start(Squid("basic")), start(Recorder())
    server = start(Stunnel(service(backend.port)))
    options = ["client = yes", "protocol = connect", f"protocolHost = 127.0.0.1:{server.port}"]
    me = ["protocolUsername = me", "protocolPassword = "]
    good = start(Stunnel(service(squid.port, *options, me[0], me[1] + "secret")))
    assert curl(good.port) == "ok200"
    bad = start(Stunnel(service(squid.port, *options, me[0], me[1] + "wrong")))
    assert curl(bad.port) == "000"
    bad.wait_log("CONNECT request rejected: HTTP/1.1 407")


@needs("squid", "curl")
@pytest.mark.skipif(not Squid.NTLM.exists(), reason="there is no ntlm_fake_auth here")
def test_a_client_logs_in_at_squid_by_ntlm(start):
    """Squid, which offers nothing else, has read the name from our last message."""
    squid, backend = start(Squid("ntlm")), start(Recorder())
    server = start(Stunnel(service(backend.port)))
    options = ["client = yes", "protocol = connect", f"protocolHost = 127.0.0.1:{server.port}"]
    options += ["protocolUsername = me", "protocolPassword = secret"]
    options += ["protocolDomain = HERE", "protocolAuthentication = "]
    good = start(Stunnel(service(squid.port, *options[:-1], options[-1] + "ntlm")))
    assert curl(good.port) == "ok200"
    log = squid.folder / "access.log"
    wait_for(lambda: "\\me\n" in log.read_text(), "the user's name in squid's log")
    assert "CONNECT H" in log.read_text()  # what this helper keeps of the domain
    bad = start(Stunnel(service(squid.port, *options[:-1], options[-1] + "basic")))
    assert curl(bad.port) == "000"
    bad.wait_log("CONNECT request rejected: HTTP/1.1 407")


@needs("slapd", "ldapsearch")
def test_a_client_begins_tls_with_slapd(start):
    """ldapsearch knows nothing of TLS."""
    slapd = start(Slapd())
    options = ["client = yes", "protocol = ldap", "verifyChain = yes"]
    options += [f"CAfile = {certificates().ca}"]
    stunnel = start(Stunnel(service(slapd.port, *options)))
    command = ["ldapsearch", "-x", "-LLL", "-H", f"ldap://127.0.0.1:{stunnel.port}", "-s", "base"]
    done = subprocess.run(
        [*command, "-b", "", "namingContexts"], check=False, capture_output=True, text=True
    )
    assert "namingContexts: dc=test" in done.stdout, done.stderr
    stunnel.wait_log("TLS connected: new session negotiated")


class Slapd(Program):
    """A directory that answers nobody who has not begun TLS."""

    name = "slapd"

    def __init__(self):
        super().__init__()
        self.port = free_port()
        (self.folder / "data").mkdir()
        (self.folder / "slapd.conf").write_text(
            f"""
include /etc/ldap/schema/core.schema
pidfile {self.folder}/pid
TLSCertificateFile {certificates().cert}
TLSCertificateKeyFile {certificates().key}
modulepath /usr/lib/ldap
moduleload back_mdb
security tls=1
database mdb
suffix "dc=test"
directory {self.folder}/data
"""
        )

    def command(self):
        listen = f"ldap://127.0.0.1:{self.port}"
        return ["slapd", "-d", "0", "-h", listen, "-f", str(self.folder / "slapd.conf")]

    def endpoints(self):
        return [str(self.port)]


class News(Program):
    """INN's server of readers, who begin TLS: one group, a.test, without articles."""

    name = "nnrpd"
    BIN = Path("/usr/lib/news/bin")

    def __init__(self):
        super().__init__()
        self.port = free_port()
        for name in ("etc", "db", "run", "log", "tmp", "spool/articles", "spool/overview"):
            (self.folder / name).mkdir(parents=True)
        paths = {name: self.folder / name for name in ("etc", "db", "run", "log", "spool", "tmp")}
        self._write("key.pem", certificates().key.read_text())
        (self.folder / "key.pem").chmod(0o640)
        self.settings = self._write(
            "etc/inn.conf",
            "".join(f"path{name}: {path}\n" for name, path in paths.items())
            + f"""
pathnews: {self.BIN.parent}
pathhost: news.test
domain: test
mta: "/bin/true %s"
hismethod: hisv6
ovmethod: tradindexed
nnrpdloadlimit: 0
tlscertfile: {certificates().cert}
tlskeyfile: {self.folder}/key.pem
""",
        )
        self._write("etc/readers.conf", 'auth all { default: "me" }\naccess all { newsgroups: "*" }\n')
        self._write("etc/storage.conf", 'method timehash {\n newsgroups: "*"\n class: 0\n}\n')
        self._write("db/active", "a.test 0000000000 0000000001 y\n")
        self._write("db/newsgroups", "a.test\tA group\n")
        self._write("db/history", "")
        subprocess.run(["chown", "-R", "news:news", self.folder], check=True)
        overview = ["runuser", "-u", "news", "--", self.BIN / "makehistory", "-O", "-x"]
        subprocess.run(overview, check=True, capture_output=True, env=self.environment())

    def _write(self, name, text):
        (self.folder / name).write_text(text)
        return self.folder / name

    def environment(self):
        return {**os.environ, "INNCONF": str(self.settings)}

    def command(self):
        return [self.BIN / "nnrpd", "-D", "-f", "-b", "127.0.0.1", "-p", str(self.port)]

    def endpoints(self):
        return [str(self.port)]


@as_root
@needs("runuser", str(News.BIN / "nnrpd"))
def test_a_client_begins_tls_with_a_news_server(start):
    """Its reader knows nothing of TLS, is greeted by the server, and is not offered TLS any more."""
    news = start(News())
    options = ["client = yes", "protocol = nntp", "verifyChain = yes", f"CAfile = {certificates().ca}"]
    stunnel = start(Stunnel(service(news.port, *options)))
    with PlainClient(stunnel.port) as reader:
        assert reader.read_until(b"\r\n").startswith(b"200 news.test InterNetNews NNRP server")
        reader.send(b"GROUP a.test\r\n")
        assert reader.read_until(b"\r\n") == b"211 0 1 0 a.test\r\n"
        reader.send(b"CAPABILITIES\r\n")
        able = reader.read_until(b"\r\n.\r\n")
        assert b"READER" in able and b"STARTTLS" not in able
        reader.send(b"QUIT\r\n")
        assert reader.read_until(b"\r\n").startswith(b"205 ")
    stunnel.wait_log("TLS connected: new session negotiated")


POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


class Postgres(Program):
    """A database that trusts whoever comes, with TLS or without."""

    name = "postgres"

    def __init__(self, tls):
        super().__init__()
        self.port, self.tls = free_port(), tls
        data = self.folder / "data"
        self.as_user = ["runuser", "-u", "nobody", "--"]
        self.folder.chmod(0o777)
        initdb = [*self.as_user, POSTGRES[-1] / "initdb", "-D", data, "-A", "trust", "-U", "me"]
        subprocess.run([*initdb, "-N"], check=True, capture_output=True, cwd=self.folder)
        if tls:
            for name, source in (("crt", certificates().cert), ("key", certificates().key)):
                copy = self.folder / f"server.{name}"
                shutil.copy(source, copy)
                shutil.chown(copy, "nobody")
                copy.chmod(0o600)
            text = "ssl = on\n" + "".join(
                f"ssl_{option}_file = '{self.folder}/server.{name}'\n"
                for option, name in (("cert", "crt"), ("key", "key"))
            )
            with open(data / "postgresql.conf", "a", encoding="ascii") as file:
                file.write(text)

    def command(self):
        options = ["-D", self.folder / "data", "-h", "127.0.0.1", "-p", str(self.port)]
        return [*self.as_user, POSTGRES[-1] / "postgres", *options, "-k", self.folder]

    def endpoints(self):
        return [str(self.port)]


def psql(port, sslmode):
    to = f"host=127.0.0.1 port={port} user=me dbname=postgres sslmode={sslmode}"
    command = ["psql", "-Atc", "select 6*7", to]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return done.stdout.strip() or done.stderr


needs_postgres = pytest.mark.skipif(not POSTGRES, reason="there is no PostgreSQL server here")


@as_root
@needs_postgres
@needs("psql", "runuser")
@pytest.mark.parametrize("client", [False, True], ids=["server", "client"])
def test_psql_and_postgres(start, client):
    """TLS is between psql and us, or between us and the server."""
    postgres = start(Postgres(tls=client))
    verify = ["client = yes", "verifyChain = yes", f"CAfile = {certificates().ca}"]
    options = ["protocol = pgsql", *(verify if client else [])]
    stunnel = start(Stunnel(service(postgres.port, *options)))
    assert psql(stunnel.port, "disable" if client else "require") == "42"
    stunnel.wait_log("TLS connected" if client else "TLS accepted")


def mail_server(connection):
    """Takes one mail, in plain text."""
    connection.send(b"220 mail.test ESMTP\r\n")
    while (line := connection.take_until(b"\r\n")) is not None:
        word = line[:4].upper().strip()
        if word == b"DATA":
            connection.send(b"354 go on\r\n")
            connection.take_until(b"\r\n.\r\n")
        connection.send(b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n")


@needs("swaks")
def test_swaks_sends_a_mail(start, front):
    backend = start(Recorder(mail_server))
    stunnel = front(backend, "protocol = smtp")
    command = ["swaks", "--server", f"127.0.0.1:{stunnel.port}", "--tls", "--to", "you@mail.test"]
    command += ["--from", "me@mail.test", "--helo", "client.test", "--body", "inside"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 0, done.stdout
    assert b"RCPT TO:<you@mail.test>" in backend.data and b"STARTTLS" not in backend.data
