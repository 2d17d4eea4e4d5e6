# SPDX-License-Identifier: ISC
"""Some hundred small configuration files, each odd in one way, for stock and the daemon alike.

A case is a file's text by its name. {accept} is [HOST:]PORT to listen on and {port} its port, {echo} the
port of a backend that echoes in plain text and {tls} one that does so over TLS; {NAME} with a dot is a
file of FILES. The name of a case whose clients speak no TLS begins with "client-".

DIFFERENCES are what is judged otherwise, with the reasons, which tools/compatibility copies to the page.
"""

from dataclasses import dataclass

FILES = {
    "empty.pem": b"",
    "text.pem": b"hello\n",
    "bad64.pem": b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n",
    "psk.txt": b"me:" + b"ab" * 32 + b"\n",
    "short.txt": b"me:ab\n",
    "colon.txt": b"me" + b"ab" * 32 + b"\n",
    "odd.txt": b"me:" + b"abc" * 11 + b"\n",
    "crlf.txt": b"me:" + b"ab" * 32 + b"\r\nyou:" + b"cd" * 32 + b"\r\n",
    "twice.txt": b"me:" + b"ab" * 32 + b"\nme:" + b"cd" * 32 + b"\n",
    "comment.txt": b"; keys\n\nme:" + b"ab" * 32,
    "bom.txt": b"\xef\xbb\xbfme:" + b"ab" * 32 + b"\n",
    "none": {},
    "odd": {".hidden": "delay = no\n", "a.conf~": "delay = no\n"},
    "bad": {"a.conf": "surprise\n"},
}

# Whose log is too quiet to say that it accepts; and names that begin so: their dialogues have tests.
QUIET = "debug-warning debug-err debug-notice global-foreground-quiet key-before-cert global-debug-local3.5"
QUIET = set(QUIET.split())
NOT_ASKED = ("protocol-", "transparent-")


@dataclass
class Difference:
    names: str  # of cases
    ours: str  # "refused" what stock takes, "taken" what it refuses
    what: str  # as the page says
    why: str


DIFFERENCES = [
    Difference(*row)
    for row in [
        (
            "CAengine-empty before-sections-CAengine",
            "refused",
            "`CAengine`",
            "Engines are not used; stock goes on without what it was to trust.",
        ),
        (
            "CRLfile-of-nothing CRLpath-of-nothing",
            "refused",
            "`CRLfile =`, `CRLpath =`",
            "Stock looks for no revoked certificate then, or for a list that cannot be. Here it undoes "
            "the value of the defaults, and where there is none it is refused.",
        ),
        (
            "OCSP-v4 OCSP-nothing OCSP-quoted OCSP-port-too-big",
            "refused",
            "`OCSP` without `http://`",
            "As in 4.57; stock of today says so only when it is to ask.",
        ),
        (
            "execArgs-empty ident-empty protocolDomain-empty protocolHeader-empty protocolUsername-empty "
            "protocolPassword-empty PSKidentity-empty global-EGD-empty global-RNDfile-empty "
            "global-service-empty protocolHost-nothing sessiond-nothing",
            "refused",
            "an option that is empty: `protocolPassword =`, `PSKidentity =`, `service =`, ...",
            "It is a variable that nobody has filled in, more often than a wish. Where stock gives it a "
            "meaning it has that: `pid =`, `CAfile =`, `CApath =`, `sni =`.",
        ),
        (
            "accept-nothing accept-port-of-nothing connect-nothing redirect-nothing",
            "refused",
            "an address that is empty: `accept =`, `accept = 127.0.0.1:`, `connect =`, ...",
            "Stock listens on a port that the system chooses, or connects to none.",
        ),
        (
            "accept-port-too-big accept-port-much-too-big sessiond-port-too-big",
            "refused",
            "a port above 65535",
            "Stock uses what its lower 16 bits are.",
        ),
        (
            "sessionCacheSize-beyond-long sessionCacheTimeout-beyond-long session-beyond-long stack-beyond-long "
            "TIMEOUTbusy-beyond-long TIMEOUTclose-beyond-long TIMEOUTconnect-beyond-long "
            "TIMEOUTidle-beyond-int TIMEOUTidle-beyond-long RNDbytes-beyond-long",
            "refused",
            "a number that an int does not hold",
            "Stock's value is what is left of it: `TIMEOUTidle = 2147483648` is negative.",
        ),
        (
            "sessionCacheSize-negative sessionCacheTimeout-negative session-negative stack-negative "
            "setuid-negative",
            "refused",
            "a negative number of sessions, of seconds that they live, of bytes, or of a user",
            "Stock hands it to a function that takes it for a very large one, or cannot start a thread.",
        ),
        (
            "nul-inside nul-line nul-in-front",
            "refused",
            "a NUL byte in a line",
            "Stock does not see what stands behind it.",
        ),
        (
            "client-checkIP-word",
            "refused",
            "`checkIP` with what is no address",
            "No certificate could ever fit.",
        ),
        (
            "client-protocol-connect-no-host",
            "refused",
            "`protocol = connect` of a client without `protocolHost`",
            "As in stock since 5.73; 5.68 fails with every connection.",
        ),
        (
            "OCSP-and-verifyPeer OCSPaia-and-verify-4",
            "refused",
            "`OCSP` or `OCSPaia` with `verifyPeer`, but without `verifyChain`",
            "As in stock since 5.71: without a chain there is no issuer to ask about.",
        ),
        (
            "protocol-connect-of-a-client-digest",
            "refused",
            "`protocolAuthentication = digest` and the like with `protocol = connect` and a password",
            "Stock sends the password in clear text then.",
        ),
        (
            "global-debug-two",
            "refused",
            "`debug = daemon.info.7`",
            "Stock takes it by chance for a level.",
        ),
        (
            "global-compression-deflate global-compression-other-case global-compression-zlib "
            "global-compression-rle",
            "taken",
            "`compression`",
            "It has no effect: TLS is not compressed, and stock is refused by an OpenSSL that cannot.",
        ),
        (
            "accept-v6-brackets accept-v6-any-brackets",
            "taken",
            "`accept = [::1]:443`",
            "Brackets around an IPv6 address, as everywhere else; stock has them without.",
        ),
        (
            "options-old-spelling",
            "taken",
            "`options = NO_TLSv1.2`",
            "The spelling of 4.57 is taken as well.",
        ),
        (
            "curves-some-left curves-colon-end",
            "taken",
            "`curves` with a group that this OpenSSL does not know",
            "It is left out with a warning, as long as one is left: one file for old and new OpenSSL.",
        ),
        (
            "client-protocol-proxy",
            "taken",
            "`protocol = proxy` with `client = yes`",
            "4.57 takes it without effect; here the server gets the header.",
        ),
    ]
]

# What is said in place of words of 5.68: it says more, or it is seen earlier, or later releases have it.
OTHER_WORDS = (
    "engines of OpenSSL are not used",
    '"CApath" or "CAstore" has to be configured',
    "The value is empty",
    "The line holds a NUL byte",
    "The file is written in UTF-16",
    "The line is too long",
    "Illegal retry delay",
    "The configured protocol is not supported in the server mode",
    "SNI section name not found",
    "Inetd mode must define one endpoint: no [section]",
)

# Of stock, behind a reason.
FOLLOWS = ("Failed to initialize TLS context", "Failed to initialize TLS", "Failed to include a file")

PRESET = "foreground = yes\nsyslog = no\ndebug = info\ncert = {cert.pem}\nkey = {key.pem}\n"
WEB = "[web]\naccept = {accept}\nconnect = 127.0.0.1:{echo}\n"
CLIENT = "[web]\nclient = yes\naccept = {accept}\nconnect = 127.0.0.1:{tls}\n"
LOG_IN = ["protocol = connect", "protocolHost = a.test:443", "protocolUsername = me", "protocolPassword = x"]

# Options by the kind of their values, each with one that is good.
SWITCHES = """client delay OCSPaia OCSPnonce pty renegotiation requireCert reset sessionResume verifyChain
    verifyPeer libwrap""".split()
GLOBAL_SWITCHES = "syslog RNDoverwrite fips".split()
NUMBERS = {
    "sessionCacheSize": "10",
    "sessionCacheTimeout": "10",
    "session": "10",
    "stack": "65536",
    "TIMEOUTbusy": "10",
    "TIMEOUTclose": "10",
    "TIMEOUTconnect": "10",
    "TIMEOUTidle": "10",
    "verify": "0",
    "securityLevel": "1",
}
GLOBAL_NUMBERS = {"RNDbytes": "64"}
WORDS = {
    "failover": "rr prio",
    "logId": "sequential unique thread process",
    "OCSPflag": "NOCERTS NOTIME",
    "options": "NO_SSLv2 NO_TLSv1_1 -NO_SSLv3 ALL",
    "protocol": "smtp imap pop3 pgsql connect cifs proxy socks nntp ldap",
    "protocolAuthentication": "basic ntlm",
    "sslVersion": "all TLSv1.2 TLSv1.3 SSLv3 SSLv2 TLSv1",
    "sslVersionMin": "all TLSv1.2 TLSv1.3",
    "sslVersionMax": "all TLSv1.2 TLSv1.3",
    "transparent": "none no",
    "retry": "yes no",
    "curves": "X25519 P-256 prime256v1:X25519",
    "curve": "prime256v1",
    "ciphers": "HIGH ECDHE+AESGCM DEFAULT",
    "ciphersuites": "TLS_AES_128_GCM_SHA256",
    "debug": "7 info notice daemon.info warning err",
}
GLOBAL_WORDS = {
    "log": "append overwrite",
    "foreground": "yes quiet",
    "compression": "deflate",
    "debug": "7 info daemon.info local3.5",
}
TEXTS = {
    "checkHost": "example.test",
    "checkEmail": "me@example.test",
    "checkIP": "192.0.2.1",
    "config": "MinProtocol:TLSv1.2",
    "exec": "/bin/cat",
    "execArgs": "cat",
    "ident": "me",
    "protocolDomain": "here",
    "protocolHeader": "X-Test: 1",
    "protocolUsername": "me",
    "protocolPassword": "secret",
    "PSKidentity": "me",
    "sni": "web:*.example.test",
    "socket": "l:TCP_NODELAY=1",
    "ticketKeySecret": "00" * 32,
    "ticketMacSecret": "00" * 32,
    "engineId": "dynamic",
    "engineNum": "1",
    "CAengine": "ca",
    "setuid": "root",
    "setgid": "root",
}
GLOBAL_TEXTS = {
    "chroot": "/",
    "EGD": "/dev/null",
    "engine": "auto",
    "engineCtrl": "INIT",
    "engineDefault": "ALL",
    "include": "{none}",
    "output": "/dev/stderr",
    "pid": "{folder}/pid",
    "RNDfile": "/dev/urandom",
    "service": "stunnel",
    "setuid": "root",
    "setgid": "root",
}
QUOTED = "checkHost exec sni socket setuid chroot include output pid".split()
PATHS = "cert key CAfile CRLfile PSKsecrets".split()
FOLDERS = "CApath CRLpath".split()
TARGETS = """port colon-port star name v4-short v6-brackets v6-mapped port-too-big port-name-unknown comment
    nothing name-unknown path-missing path-too-long two""".split()


def server(*lines):
    return PRESET + WEB + "".join(f"{line}\n" for line in lines)


def client(*lines):
    return PRESET + CLIENT + "".join(f"{line}\n" for line in lines)


def before(*lines):
    return PRESET + "".join(f"{line}\n" for line in lines) + WEB


def switches():
    values = {
        "capitals": "YES",
        "true": "true",
        "one": "1",
        "quoted": '"no"',
        "behind": "no ; comment",
        "empty": "",
        "apart": "n o",
    }
    for place, names in (server, SWITCHES), (before, GLOBAL_SWITCHES):
        for name in names:
            for kind in ("empty", "true") if name != "reset" else values:
                yield f"{name}-{kind}", place(f"{name} = {values[kind]}")


def numbers():
    values = {
        "negative": "-1",
        "hexadecimal": "0x10",
        "octal": "010",
        "unit": "10s",
        "fraction": "1.5",
        "signed": "+3",
        "word": "many",
        "empty": "",
        "behind": "10 # comment",
        "beyond-int": "2147483648",
        "beyond-long": "99999999999999999999",
    }
    few = ("negative", "unit", "beyond-long")
    for place, options in (server, NUMBERS), (before, GLOBAL_NUMBERS):
        for name in options:
            for kind in values if name in ("TIMEOUTidle", "securityLevel", "verify") else few:
                yield f"{name}-{kind}", place(f"{name} = {values[kind]}")


def words():
    for place, options in (server, WORDS), (before, GLOBAL_WORDS):
        where = "" if place is server else "global-"
        for name, good in options.items():
            for value in good.split():
                yield f"{where}{name}-{value}", place(f"{name} = {value}")
            first = good.split()[0]
            yield f"{where}{name}-other-case", place(f"{name} = {first.swapcase()}")
            yield f"{where}{name}-unknown", place(f"{name} = surprise")


def texts():
    for place, options in (server, TEXTS), (before, GLOBAL_TEXTS):
        where = "" if place is server else "global-"
        for name, good in options.items():
            yield f"{where}{name}-empty", place(f"{name} =")
            if name in QUOTED:
                yield f"{where}{name}-quoted", place(f'{name} = "{good}"')


def elsewhere():
    """What stands in the wrong place."""
    for name, value in {**GLOBAL_TEXTS, "fips": "no", "syslog": "no", "foreground": "yes"}.items():
        yield f"in-a-section-{name}", server(f"{name} = {value}")
    for name, value in {**TEXTS, **NUMBERS}.items():
        yield f"before-sections-{name}", before(f"{name} = {value}")


def files():
    kinds = {
        "missing": "{folder}/missing",
        "folder": "{folder}",
        "empty": "{empty.pem}",
        "text": "{text.pem}",
        "bad64": "{bad64.pem}",
        "of-nothing": "",
    }
    for name in PATHS:
        for kind, value in kinds.items():
            lines = [f"{name} = {value}"] + (["verifyChain = yes"] if name == "CAfile" else [])
            yield f"{name}-{kind}", server(*lines)
    for name in FOLDERS:
        for kind in ("missing", "text", "of-nothing"):
            verify = "CAfile = {ca.pem}" if name == "CRLpath" else "verify = 1"
            yield f"{name}-{kind}", server(f"{name} = {kinds[kind]}", "verifyChain = yes", verify)
    for kind in "psk short colon odd crlf twice comment bom".split():
        yield f"PSKsecrets-{kind}", server("PSKsecrets = {%s.txt}" % kind)
        yield f"client-PSKsecrets-{kind}", client("PSKsecrets = {%s.txt}" % kind)
    yield "cert-twice", server("cert = {cert.pem}", "cert = {cert.pem}", "key = {key.pem}")
    yield "key-of-another", server("key = {other.key}")
    yield "key-before-cert", "key = {key.pem}\ncert = {cert.pem}\nforeground = yes\nsyslog = no\n" + WEB
    yield "no-cert", "foreground = yes\nsyslog = no\ndebug = info\n" + WEB
    yield "client-no-cert", "foreground = yes\nsyslog = no\ndebug = info\n" + CLIENT
    yield "cert-without-key", "foreground = yes\nsyslog = no\ndebug = info\ncert = {cert.pem}\n" + WEB


def addresses():
    """`accept` and `connect` in all forms."""
    forms = {
        "port": "{port}",
        "colon-port": ":{port}",
        "star": "*:{port}",
        "name": "localhost:{port}",
        "name-in-capitals": "LOCALHOST:{port}",
        "v4": "127.0.0.1:{port}",
        "v4-zero": "0.0.0.0:{port}",
        "v4-short": "127.1:{port}",
        "v4-number": "2130706433:{port}",
        "v4-hexadecimal": "0x7f.0.0.1:{port}",
        "v4-octal": "0177.0.0.1:{port}",
        "v4-zeros-in-front": "127.000.000.001:{port}",
        "v6": "::1:{port}",
        "v6-any": ":::{port}",
        "v6-brackets": "[::1]:{port}",
        "v6-any-brackets": "[::]:{port}",
        "v6-brackets-no-port": "[::1]",
        "v6-half-brackets": "[::1:{port}",
        "v6-long": "0:0:0:0:0:0:0:1:{port}",
        "v6-full": "0000:0000:0000:0000:0000:0000:0000:0001:{port}",
        "v6-mapped": "::ffff:127.0.0.1:{port}",
        "v6-zone": "fe80::1%lo:{port}",
        "v6-zone-missing": "fe80::1%nosuch:{port}",
        "v6-too-long": "0:0:0:0:0:0:0:0:1:{port}",
        "port-name-unknown": "127.0.0.1:surprise",
        "port-name-alone": "surprise",
        "port-of-nothing": "127.0.0.1:",
        "port-zeros": "127.0.0.1:0{port}",
        "port-negative": "127.0.0.1:-1",
        "port-hexadecimal": "127.0.0.1:0x50",
        "port-too-big": "127.0.0.1:65536",
        "port-much-too-big": "127.0.0.1:99999999999",
        "port-and-word": "127.0.0.1:{port}x",
        "port-plus": "127.0.0.1:+{port}",
        "blank-inside": "127.0.0.1: {port}",
        "blank-before-colon": "127.0.0.1 :{port}",
        "tab-inside": "127.0.0.1:\t{port}",
        "comma": "127.0.0.1,{port}",
        "two": "127.0.0.1:{port}, 127.0.0.1:1",
        "scheme": "https://127.0.0.1:{port}",
        "slash": "127.0.0.1:{port}/",
        "comment": "127.0.0.1:{port} # comment",
        "quoted": '"127.0.0.1:{port}"',
        "nothing": "",
        "blank-host": " :{port}",
        "name-unknown": "no.such.host.invalid:{port}",
        "name-too-long": "a" * 300 + ":{port}",
        "path-too-long": "/" + "a" * 108,
        "path-missing": "/nonexistent/socket",
        "path-relative": "./socket",
        "path-of-folder": "{folder}",
    }
    for kind, form in forms.items():
        yield f"accept-{kind}", PRESET + f"[web]\naccept = {form}\nconnect = 127.0.0.1:{{echo}}\n"
        if kind in TARGETS:
            target = form.replace("{port}", "{echo}")
            yield f"connect-{kind}", PRESET + f"[web]\naccept = {{accept}}\nconnect = {target}\n"
    yield "accept-port-name", PRESET + "[web]\naccept = 127.0.0.1:https\nconnect = 127.0.0.1:{echo}\n"
    yield "connect-port-name", PRESET + "[web]\naccept = {accept}\nconnect = 127.0.0.1:echo\n"
    for name in ("local", "redirect", "sessiond", "OCSP", "protocolHost"):
        verify = ["CAfile = {ca.pem}", "verifyChain = yes"] if name in ("redirect", "OCSP") else []
        for kind in ("v4", "nothing", "quoted", "port-too-big"):
            yield f"{name}-{kind}", server(f"{name} = {forms[kind].replace('{port}', '{echo}')}", *verify)


def grammar():
    """What lines are made of."""
    lines = {
        "bom": "\ufeff" + server(),
        "bom-twice": "\ufeff\ufeff" + server(),
        "bom-in-the-middle": PRESET + "\ufeff" + WEB,
        "bom-before-an-option": PRESET + WEB + "\ufeffdelay = no\n",
        "utf16": "\ufeff" + server(),
        "crlf": server().replace("\n", "\r\n"),
        "cr-alone": server().replace("\n", "\r"),
        "lf-cr": server().replace("\n", "\n\r"),
        "cr-inside": server("de\rlay = n\ro"),
        "nul-inside": server("delay = no\0pe"),
        "nul-in-a-name": server("del\0ay = no"),
        "nul-line": server("\0"),
        "nul-in-front": server("\0delay = surprise"),
        "form-feed": server("\fdelay\f=\fno\f"),
        "vertical-tab": server("\vdelay\v=\vno\v"),
        "no-break-space": server("delay = no\u00a0"),
        "control-z": server("\x1a"),
        "no-end": server("delay = no")[:-1],
        "no-end-of-a-section": PRESET + WEB + "[x]",
        "backslash": server("delay = \\", "no"),
        "two-equals": server("delay == no"),
        "equals-alone": server("="),
        "equals-value": server("= no"),
        "no-equals": server("delay no"),
        "name-alone": server("delay"),
        "colon": server("delay: no"),
        "colon-equals": server("delay := no"),
        "arrow": server("delay => no"),
        "two-on-a-line": server("delay = no; reset = yes"),
        "dash-in-a-name": server("session-resume = yes"),
        "underscore-in-a-name": server("session_resume = yes"),
        "blank-in-a-name": server("session Resume = yes"),
        "quoted-name": server('"delay" = no'),
        "unknown-name": server("surprise = 1"),
        "name-and-more": server("delays = no"),
        "name-cut": server("dela = no"),
        "very-long-name": server("a" * 5000 + " = no"),
        "long-comment": server(";" + "a" * 20000),
        "long-value": server("protocolUsername = " + "a" * 16000),
        "line-beyond-16k": server("protocolUsername = " + "a" * 20000),
        "line-beyond-16k-before": before("; x", "service = " + "a" * 20000),
        "line-beyond-64k": server("protocolUsername = " + "a" * 70000),
        "comment-semicolon": server("; delay = surprise"),
        "comment-hash": server("# delay = surprise"),
        "comment-indented": server("   \t; delay = surprise"),
        "comment-slashes": server("// delay = no"),
        "comment-rem": server("REM delay = no"),
        "comment-dashes": server("-- delay = no"),
        "comment-exclamation": server("! delay = no"),
        "comment-behind-semicolon": server("delay = no ; here"),
        "comment-behind-hash": server("delay = no # here"),
        "comment-behind-no-blank": server("delay = no;here"),
        "comment-behind-section": PRESET + WEB.replace("[web]", "[web] ; here"),
        "markup": "<stunnel>\n" + server(),
        "yaml": "---\nweb:\n  accept: 1\n",
        "shell": "export A=1\n" + server(),
        "high-bytes": server("protocolUsername = \u00e9\u00e8"),
        "blanks-alone": "   \n\t\n" + server("   "),
        "empty": "",
        "comment-alone": "; nothing\n",
        "twice-the-file": server() + server(),
    }
    yield from lines.items()
    for kind, head in {
        "open": "[",
        "open-name": "[web",
        "close": "web]",
        "nothing": "[]",
        "blank": "[ ]",
        "blanks": "[ web ]",
        "blanks-in-front": "   [web]",
        "blanks-behind": "[web]   ",
        "word-behind": "[web] here",
        "letter-behind": "[a]b",
        "two": "[a][b]",
        "nested": "[[web]]",
        "nested-half": "[[web]",
        "round": "(web)",
        "curly": "{{web}}",
        "angle": "<web>",
        "equals": "[a=b]",
        "comment": "[;web]",
        "hash": "[#web]",
        "quoted": '["web"]',
        "slash": "[a/b]",
        "percent": "[%s%n]",
        "colon": "[a:b]",
        "utf8": "[\u017c\u00f3\u0142w]",
        "control": "[a\x07b]",
        "nul": "[a\0b]",
        "cr": "[a\rb]",
        "long": "[" + "a" * 3000 + "]",
        "tab": "[a\tb]",
        "global": "[global]",
        "default": "[DEFAULT]",
    }.items():
        yield f"section-{kind}", PRESET + WEB.replace("[web]", head)
    yield "section-twice", server() + "[web]\naccept = 127.0.0.1:0\nconnect = 127.0.0.1:{echo}\n"
    yield "section-empty", server() + "[more]\n"
    yield "section-empty-first", PRESET + "[more]\n" + WEB
    yield "section-only-accept", PRESET + "[web]\naccept = {accept}\n"
    yield "section-only-connect", PRESET + "[web]\nconnect = 127.0.0.1:{echo}\n"
    yield "section-three-ends", server("exec = /bin/cat")
    yield "section-of-options-only", PRESET + "[web]\ndelay = no\n"
    yield "section-global-behind", server("pid = /tmp/x")
    yield "no-section", PRESET + WEB.split("\n", 1)[1]
    yield "accept-twice-same", server("accept = {accept}")
    yield "accept-twice-other", server("accept = 127.0.0.1:0")
    yield "connect-twice", server("connect = 127.0.0.1:1")
    yield "accept-before-sections", before("accept = 127.0.0.1:0")
    yield "connect-before-sections", before("connect = 127.0.0.1:{echo}")


def together():
    """Options that are odd beside others."""
    for kind, lines in {
        "sni-forward": ["sni = later:x.test", "[later]", "accept = 127.0.0.1:0", "connect = {echo}"],
        "sni-itself": ["sni = web:x.test"],
        "sni-unknown": ["sni = nobody:x.test"],
        "sni-no-colon": ["sni = x.test"],
        "sni-no-pattern": ["sni = web:"],
        "verify-no-ca": ["verify = 2"],
        "verify-level-4-no-ca": ["verify = 4"],
        "verifyChain-no-ca": ["verifyChain = yes"],
        "verify-and-ca": ["verify = 2", "CAfile = {ca.pem}"],
        "verify-4-and-ca": ["verify = 4", "CAfile = {ca.pem}"],
        "verify-1-and-ca": ["verify = 1", "CAfile = {ca.pem}"],
        "verify-5": ["verify = 5"],
        "checkHost-no-verify": ["checkHost = x.test"],
        "OCSP-no-verify": ["OCSP = http://127.0.0.1/"],
        "OCSP-requireCert": ["OCSP = http://127.0.0.1/", "requireCert = yes", "CAfile = {ca.pem}"],
        "OCSPaia-no-verify": ["OCSPaia = yes"],
        "OCSPaia-verify-0": ["OCSPaia = yes", "verify = 0"],
        "OCSP-and-verifyPeer": ["OCSP = http://127.0.0.1/", "verifyPeer = yes", "CAfile = {ca.pem}"],
        "OCSPaia-and-verify-4": ["OCSPaia = yes", "verify = 4", "CAfile = {ca.pem}"],
        "redirect-no-verify": ["redirect = {echo}"],
        "redirect-smtp": ["redirect = {echo}", "protocol = smtp", "CAfile = {ca.pem}", "verify = 2"],
        "versions-crossed": ["sslVersionMin = TLSv1.3", "sslVersionMax = TLSv1.2"],
        "version-none": ["sslVersion = TLSv1.2", "options = NO_TLSv1_2"],
        "options-old-spelling": ["options = NO_TLSv1.2"],
        "options-prefix": ["options = SSL_OP_NO_TLSv1_2"],
        "options-two": ["options = NO_SSLv2 NO_SSLv3"],
        "options-comma": ["options = NO_SSLv2,NO_SSLv3"],
        "options-number": ["options = 0"],
        "ticket-one": ["ticketKeySecret = " + "0" * 32],
        "ticket-odd": ["ticketKeySecret = 000", "ticketMacSecret = 000"],
        "ticket-colons": ["ticketKeySecret = " + ":".join(["ab"] * 16), "ticketMacSecret = " + "0" * 32],
        "ticket-word": ["ticketKeySecret = word", "ticketMacSecret = word"],
        "ticket-no-tickets": [
            "ticketKeySecret = " + "0" * 32,
            "ticketMacSecret = " + "0" * 32,
            "options = NO_TICKET",
        ],
        "socket-class": ["socket = x:TCP_NODELAY=1"],
        "socket-class-capital": ["socket = L:TCP_NODELAY=1"],
        "socket-name-small": ["socket = l:tcp_nodelay=1"],
        "socket-word": ["socket = l:TCP_NODELAY=maybe"],
        "socket-yes": ["socket = l:TCP_NODELAY=yes"],
        "socket-no-value": ["socket = l:TCP_NODELAY"],
        "socket-blanks": ["socket = l:TCP_NODELAY = 1"],
        "socket-linger": ["socket = l:SO_LINGER=1:60"],
        "socket-linger-off": ["socket = l:SO_LINGER=0"],
        "socket-time": ["socket = r:SO_RCVTIMEO=10:0"],
        "socket-device": ["socket = r:SO_BINDTODEVICE=lo"],
        "socket-device-missing": ["socket = r:SO_BINDTODEVICE=nosuch0"],
        "socket-number-word": ["socket = a:SO_RCVBUF=much"],
        "socket-hexadecimal": ["socket = a:SO_RCVBUF=0x10000"],
        "exec-missing": ["exec = /nonexistent"],
        "protocol-none": ["protocol = none"],
        "protocol-and-client-only": ["protocol = nntp"],
        "protocolHost-alone": ["protocolHost = example.test:443"],
        "config-unknown": ["config = Surprise:1"],
        "config-no-value": ["config = MinProtocol"],
        "config-blank": ["config = MinProtocol: TLSv1.2"],
        "config-ciphers": ["config = CipherString:HIGH"],
        "ciphers-nothing-left": ["ciphers = SURPRISE"],
        "ciphers-some-left": ["ciphers = SURPRISE:HIGH"],
        "ciphers-level": ["ciphers = HIGH:@SECLEVEL=1"],
        "ciphersuites-some-left": ["ciphersuites = SURPRISE:TLS_AES_128_GCM_SHA256"],
        "ciphersuites-commas": ["ciphersuites = TLS_AES_128_GCM_SHA256,TLS_AES_256_GCM_SHA384"],
        "curves-some-left": ["curves = X25519:surprise"],
        "curves-twice": ["curves = X25519:X25519"],
        "curves-blanks": ["curves = X25519 : P-256"],
        "curves-colon-end": ["curves = X25519:"],
        "pty-no-exec": ["pty = yes"],
        "transparent-source": ["transparent = source"],
        "transparent-destination": ["transparent = destination"],
        "requireCert-no-verify": ["requireCert = yes"],
        "requireCert-and-ca": ["requireCert = yes", "CAfile = {ca.pem}"],
        "setuid-number": ["setuid = 0"],
        "setuid-unknown": ["setuid = nosuchuser"],
        "setuid-negative": ["setuid = -1"],
        "setgid-number": ["setgid = 0"],
        "setgid-unknown": ["setgid = nosuchgroup"],
    }.items():
        yield kind, server(*lines)
    for kind, lines in {
        "client-nothing-else": [],
        "client-sni-empty": ["sni ="],
        "client-sni": ["sni = localhost"],
        "client-sni-colon": ["sni = a:b"],
        "client-sni-address": ["sni = 127.0.0.1"],
        "client-verify-no-ca": ["verifyChain = yes"],
        "client-verify": ["verifyChain = yes", "CAfile = {ca.pem}"],
        "client-verify-host": ["verifyChain = yes", "CAfile = {ca.pem}", "checkHost = localhost"],
        "client-verify-other-host": ["verifyChain = yes", "CAfile = {ca.pem}", "checkHost = x.test"],
        "client-checkIP-word": ["verifyChain = yes", "CAfile = {ca.pem}", "checkIP = word"],
        "client-checkIP": ["verifyChain = yes", "CAfile = {ca.pem}", "checkIP = 127.0.0.1"],
        "client-redirect": ["redirect = {echo}", "verifyChain = yes", "CAfile = {ca.pem}"],
        "client-protocol-proxy": ["protocol = proxy"],
        "client-protocol-connect-no-host": ["protocol = connect"],
        "client-OCSPaia-no-verify": ["OCSPaia = yes"],
        "protocol-connect-of-a-client-plain": [*LOG_IN, "protocolAuthentication = plain"],
        "protocol-connect-of-a-client-digest": [*LOG_IN, "protocolAuthentication = digest"],
        "protocol-connect-of-nobody-digest": [*LOG_IN[:2], "protocolAuthentication = digest"],
        "client-PSKidentity-unknown": ["PSKsecrets = {psk.txt}", "PSKidentity = you"],
        "client-PSKidentity-no-secrets": ["PSKidentity = me"],
        "client-ticket": ["ticketKeySecret = " + "0" * 32, "ticketMacSecret = " + "0" * 32],
        "client-transparent": ["transparent = destination"],
    }.items():
        yield kind, client(*lines)
    for kind, lines in {
        "global-setuid-unknown": ["setuid = nosuchuser"],
        "global-setgid-unknown": ["setgid = nosuchgroup"],
        "global-setuid-number": ["setuid = 65534", "setgid = 65534"],
        "global-pid-relative": ["pid = stunnel.pid"],
        "global-pid-no-folder": ["pid = /nonexistent/pid"],
        "global-pid-folder": ["pid = {folder}"],
        "global-output-no-folder": ["output = /nonexistent/log"],
        "global-output-folder": ["output = {folder}"],
        "global-chroot-missing": ["chroot = /nonexistent"],
        "global-chroot-file": ["chroot = {text.pem}"],
        "global-chroot-relative": ["chroot = ."],
        "global-debug-facility-alone": ["debug = daemon"],
        "global-debug-9": ["debug = 9"],
        "global-debug-warn": ["debug = warn"],
        "global-debug-zeros": ["debug = 07"],
        "global-debug-unknown-facility": ["debug = surprise.7"],
        "global-debug-two": ["debug = daemon.info.7"],
        "global-socket": ["socket = a:SO_REUSEADDR=no"],
        "global-taskbar": ["taskbar = yes"],
        "global-iconIdle": ["iconIdle = x.ico"],
        "global-compression-zlib": ["compression = zlib"],
        "global-compression-rle": ["compression = rle"],
        "global-include-missing": ["include = /nonexistent"],
        "global-include-file": ["include = {text.pem}"],
        "global-include-folder": ["include = {odd}"],
        "global-include-bad": ["include = {bad}"],
        "global-include-relative": ["include = ."],
        "global-include-glob": ["include = {odd}/*.conf"],
        "global-include-folder-quoted": ['include = "{odd}"'],
        "global-include-twice": ["include = {none}", "include = {none}"],
    }.items():
        yield kind, before(*lines)


def cases():
    found = {}
    for kind in (switches, numbers, words, texts, elsewhere, files, addresses, grammar, together):
        for name, text in kind():
            if name in found:
                assert found[name] == text, name
            found[name] = text
    return found
