# SPDX-License-Identifier: ISC
"""Servers that Debian packages, a row each; the programs that they run are in apps/.

In a command, a build or a configuration stand $port (where the server listens), $folder (its own,
in which the commands run), $apps, $config (the file that `config` became) and $origin (the port
behind a proxy). The lines of the report come on standard output; of a proxy, what the origin
behind it gets.
"""

import contextlib
import os
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path
from string import Template

from observers import FORWARDED, PROBE, Observer, alias_values, without_peer
from peers import Program, free_port
from recorder import OK, Recorder

APPS = Path(__file__).resolve().parent / "apps"
JARS = Path("/usr/share/java")
PYTHON = "/usr/bin/python3"  # Debian's, which has Debian's modules


@dataclass(frozen=True)
class Server:
    name: str
    packages: str  # of Debian 12
    command: str
    build: str = ""
    config: str = ""
    options: tuple = ()  # of the daemon's service, for a server that needs them
    proxy: bool = False  # tells by what it sends on


def library(name, packages):
    return Server(name, packages, f"{PYTHON} $apps/servers.py {name} $port")


def java(name, packages="", jars=(), servlet=None):
    path = ":".join(["$folder", *(f"{JARS}/{jar}.jar" for jar in jars)])
    sources = f"$apps/Report.java $apps/{name}.java"
    edit = f"sed s/SERVLET/{servlet}/ $apps/Servlet.java >Servlet.java && " if servlet else ""
    sources += " Servlet.java" if servlet else ""
    return Server(
        name.lower(),
        f"default-jdk-headless {packages}",
        f"java -Xmx256m -cp {path} {name} $port $folder",
        build=f"{edit}javac -nowarn -d . -cp {path} {sources}",
    )


def compiled(name, package, libraries):
    """A program of C or C++."""
    source = next(APPS.glob(f"{name}.c*"))
    compiler = "gcc" if source.suffix == ".c" else "g++"
    build = f"{compiler} -O1 -o server $apps/{source.name} {libraries}"
    return Server(name, f"{compiler} {package}", "./server $port", build=build)


JETTY = [f"jetty9-{part}" for part in "server servlet util http io security util-ajax".split()]
NETTY = "common buffer transport resolver handler codec codec-http".split()
NETTY = [f"netty-{part}" for part in NETTY]
TOMCAT = ["tomcat10-embed-core", "tomcat10-annotations-api", "tomcat10-juli"]

SQUID = """
http_port 127.0.0.1:$port accel defaultsite=www.example.test
cache_peer 127.0.0.1 parent $origin 0 no-query no-digest no-netdb-exchange originserver
http_access allow all
cache deny all
forwarded_for transparent
relaxed_header_parser on
request_header_max_size 128 KB
cache_log $folder/cache.log
access_log none
pid_filename none
coredump_dir $folder
shutdown_lifetime 0 seconds
"""

H2O = """
user: $user
listen:
  host: 127.0.0.1
  port: $port
http1-request-timeout: 60
hosts:
  default:
    paths:
      /:
        proxy.reverse.url: http://127.0.0.1:$origin/
        proxy.preserve-host: ON
"""

TRAFFICSERVER = """
mkdir -p ts/etc ts/log ts/run ts/cache
cp -r /etc/trafficserver/. ts/etc
cat >ts/etc/records.config <<END
CONFIG proxy.config.http.server_ports STRING $port:ip-in=127.0.0.1
CONFIG proxy.config.http.cache.http INT 0
CONFIG proxy.config.http.insert_squid_x_forwarded_for INT 0
CONFIG proxy.config.http.request_header_max_size INT 131072
CONFIG proxy.config.url_remap.pristine_host_hdr INT 1
CONFIG proxy.config.log.logging_enabled INT 0
CONFIG proxy.config.admin.user_id STRING #-1
END
echo 'map / http://127.0.0.1:$origin/' >ts/etc/remap.config
: >ts/etc/storage.config
cat >ts/runroot.yaml <<END
prefix: $folder/ts
exec_prefix: /usr
bindir: /usr/bin
sbindir: /usr/sbin
sysconfdir: $folder/ts/etc
datadir: $folder/ts
includedir: /usr/include
libdir: /usr/lib
libexecdir: /usr/lib/trafficserver/modules
localstatedir: $folder/ts
runtimedir: $folder/ts/run
logdir: $folder/ts/log
mandir: /usr/share/man
infodir: /usr/share/info
cachedir: $folder/ts/cache
END
"""

# Yaws without its script: embedded, so that no shell waits for input.
YAWS = """
Server = [{port, $port}, {listen, {127, 0, 0, 1}}, {servername, "localhost"},
    {appmods, [{"/", report}]}],
yaws:start_embedded("$folder", Server, [{logdir, "$folder"}], "report").
"""

SERVERS = [
    Server(
        "gunicorn",
        "gunicorn",
        "gunicorn -b 127.0.0.1:$port --limit-request-field_size 0 wsgi:app",
    ),
    Server(
        "gunicorn gthread",
        "gunicorn",
        "gunicorn -b 127.0.0.1:$port --limit-request-field_size 0 -k gthread --threads 4"
        " --keep-alive 60 wsgi:app",
    ),
    Server(
        "uvicorn h11",
        "uvicorn python3-h11",
        "uvicorn --port $port --http h11 --timeout-keep-alive 60 --no-access-log asgi:app",
    ),
    Server(
        "uvicorn httptools",
        "uvicorn python3-httptools",
        "uvicorn --port $port --http httptools --timeout-keep-alive 60 --no-access-log asgi:app",
    ),
    Server(
        "hypercorn",
        "python3-hypercorn",
        f"{PYTHON} -m hypercorn -b 127.0.0.1:$port --keep-alive 60 asgi:app",
    ),
    library("waitress", "python3-waitress"),
    library("cheroot", "python3-cheroot"),
    library("werkzeug", "python3-werkzeug"),
    library("tornado", "python3-tornado"),
    library("aiohttp", "python3-aiohttp"),
    library("twisted", "python3-twisted"),
    Server(
        "uwsgi",
        "uwsgi-core uwsgi-plugin-python3",
        "uwsgi --http-socket 127.0.0.1:$port --plugin python3 --wsgi-file $apps/wsgi.py"
        " --callable app --buffer-size 65535 --disable-logging --die-on-term",
    ),
    Server("puma", "puma", "puma -e production -q -b tcp://127.0.0.1:$port $apps/app.ru"),
    Server("unicorn", "unicorn", "unicorn -E production -l 127.0.0.1:$port $apps/app.ru"),
    Server("thin", "thin", "thin start -q -e production -a 127.0.0.1 -p $port -R $apps/app.ru"),
    Server(
        "webrick",
        "ruby-webrick ruby-rack",
        "rackup -E production -s webrick -o 127.0.0.1 -p $port $apps/app.ru",
    ),
    Server(
        "starman",
        "starman",
        "starman --listen 127.0.0.1:$port --workers 2 --keepalive-timeout 60 $apps/app.psgi",
    ),
    java("Jdk"),
    java("Jetty", "libjetty9-java libservlet-api-java", [*JETTY, "servlet-api"], "javax.servlet"),
    java("Tomcat", "libtomcat10-embed-java libtomcat10-java", TOMCAT, "jakarta.servlet"),
    java("Netty", "libnetty-java", NETTY),
    compiled("microhttpd", "libmicrohttpd-dev", "-lmicrohttpd"),
    compiled("evhttp", "libevent-dev", "-levent"),
    compiled("civetweb", "libcivetweb-dev", "-lcivetweb -lpthread"),
    compiled("poco", "libpoco-dev", "-lPocoNet -lPocoFoundation"),
    compiled("httplib", "libcpp-httplib-dev", "-lcpp-httplib -lpthread"),
    Server(
        "yaws",
        "yaws erlang-base",
        f"erl -noinput -pa /usr/lib/yaws/ebin -eval {shlex.quote(YAWS)}",
        build="erlc -I /usr/lib $apps/report.erl",
    ),
    Server("squid", "squid", "squid -N -f $config", config=SQUID, proxy=True),
    Server("h2o", "h2o", "h2o -c $config", config=H2O, proxy=True),
    Server(
        "trafficserver",
        "trafficserver",
        "traffic_server --run-root=$folder/ts/runroot.yaml",
        build=TRAFFICSERVER,
        proxy=True,
    ),
]


class Origin(Recorder):
    """Behind a proxy: reports what comes, as apps/ do."""

    ANSWERS = {b"HEAD": OK.removesuffix(b"ok"), b"CONNECT": OK.replace(b"200", b"405")}

    def __init__(self, seen):
        self.seen = seen
        super().__init__(self.answer)

    def answer(self, connection):
        with contextlib.suppress(ValueError):
            while (request := connection.take_request()) is not None:
                head, _, content = request.partition(b"\r\n\r\n")
                self.report(head.decode("latin-1").split("\r\n"), len(content))
                connection.send(self.ANSWERS.get(request.split(b" ")[0], OK))

    def report(self, head, content):
        told = [alias_values(head, name) for name in (PROBE, FORWARDED)]
        line = "|".join(["SEEN", "127.0.0.1", "-", *told, str(content), head[0]])
        with open(self.seen, "ab") as file:
            file.write(line.encode("latin-1") + b"\n")


class AppServer(Observer, Program):
    """A row of the table, running."""

    def __init__(self, row):
        self.row, self.name, self.options = row, row.name.replace(" ", "-"), row.options
        super().__init__()
        self.port = free_port()
        self.seen = self.stderr  # with its standard output
        self.origin = Origin(self.seen) if row.proxy else contextlib.nullcontext()
        self.names = {
            "port": self.port,
            "folder": self.folder,
            "apps": APPS,
            "config": self.folder / "config",
            "origin": getattr(self.origin, "port", ""),
            "user": "root" if os.getuid() == 0 else "",
        }
        (self.folder / "config").write_text(self.filled(row.config))
        subprocess.run(self.filled(row.build), shell=True, check=True, cwd=self.folder)

    def filled(self, text):
        return Template(text).substitute(self.names)

    def command(self):
        return shlex.split(self.filled(self.row.command))

    def endpoints(self):
        return [str(self.port)]

    def environment(self):
        more = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(APPS), "SEEN": str(self.seen)}
        return {**os.environ, **more, "HOME": str(self.folder)}

    def record(self, line):
        return without_peer(super().record(line))

    def __enter__(self):
        self.origin.__enter__()
        return super().__enter__()

    def __exit__(self, *details):
        super().__exit__(*details)
        self.origin.__exit__(*details)
