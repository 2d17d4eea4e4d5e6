# SPDX-License-Identifier: ISC
"""tools/make-series on Debian's stunnel, and on trees where a hook has gone.

STOCK names an unpacked source package (tools/stock-source), which stays as it is.
"""

import filecmp
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from peers import OURS
from series.patches import STEPS, step_core
from series.place import write_debian
from series.tree import Refusal, Tree

TOP = Path(__file__).resolve().parents[2]
MAKE_SERIES = TOP / "tools" / "make-series"
STOCK = Path(os.environ.get("STOCK", TOP / "build" / "stock" / "none"))
NAMES = [
    "01-forward-core.patch",
    "02-forward-options.patch",
    "03-forward-http.patch",
    "04-forward-proxy.patch",
    "05-forward-version.patch",
    "06-forward-manual.patch",
    "07-forward-windows.patch",
]
# What is there already need not be made anew.
NO_AUTOTOOLS = {**os.environ, "AUTOCONF": "false", "ACLOCAL": "false", "AUTOHEADER": "false"}

pytestmark = pytest.mark.skipif(
    not (STOCK / "src" / "client.c").exists(), reason="STOCK names no tree of stunnel"
)


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def make_series(*arguments, **options):
    return run(MAKE_SERIES, *arguments, **options)


def content(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    folder = tmp_path_factory.mktemp("series")
    result = make_series(STOCK, "--out", folder)
    assert result.returncode == 0, result.stderr
    return folder


@pytest.fixture
def tree(tmp_path):
    """A copy of the stock tree, as its packager's patches left it, without these patches."""
    shutil.copytree(STOCK, tmp_path / "tree", symlinks=True)
    shutil.rmtree(tmp_path / "tree" / ".pc", ignore_errors=True)
    return tmp_path / "tree"


def quilt(tree, series, *arguments, quiltrc="-"):
    env = {**os.environ, "QUILT_PATCHES": str(series)}
    result = run("quilt", f"--quiltrc={quiltrc}", *arguments, cwd=tree, env=env)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def configure(tmp_path_factory):
    """What it finds out of this machine once is known to the other trees."""
    cache = tmp_path_factory.mktemp("configure") / "cache"

    def run_it(folder):
        made = run("./configure", "--quiet", f"--cache-file={cache}", cwd=folder, env=NO_AUTOTOOLS)
        assert made.returncode == 0, made.stderr

    return run_it


# ---- what a series is -------------------------------------------------------------------------


def test_twice_the_same_bytes(series, tmp_path):
    assert make_series(STOCK, "--out", tmp_path, env={**os.environ, "TZ": "Asia/Tokyo"}).stderr == ""
    assert content(tmp_path) == content(series)


def test_series_names_the_patches_in_order(series):
    assert (series / "series").read_text().split() == NAMES
    assert sorted(content(series)) == sorted([*NAMES, "series"])


@pytest.mark.parametrize("name", NAMES)
def test_patch_has_a_dep3_header(series, name):
    header = (series / name).read_text().split("\n--- ")[0]
    fields = dict(re.findall(r"^([A-Z][\w-]*): (.*)$", header, re.M))
    assert {"Description", "Author", "Origin", "Forwarded"} <= set(fields)
    assert not re.search(r"^(diff|index|Index:) ", (series / name).read_text(), re.M)


def test_every_patch_fits_exactly_and_builds(series, tree, configure):
    """Nor does it need autoconf or automake."""
    configure(tree)
    for _ in NAMES:
        said = quilt(tree, series, "push", "--fuzz=0")
        assert "fuzz" not in said and "offset" not in said
        made = run("make", "-j2", "AUTOMAKE=false", "-C", "src", "stunnel", cwd=tree, env=NO_AUTOTOOLS)
        assert made.returncode == 0, made.stderr
        assert not re.findall(r"^(?:forward|core/|conn/|tls/).*warning:.*", made.stderr, re.M)
        assert run("src/stunnel", "-version", cwd=tree).returncode == 0
    said = run("src/stunnel", "-version", cwd=tree).stderr
    assert re.search(r"^Forward:HTTP,PROXY2 \(stunnel-http [\d.]+\)$", said, re.M)
    assert "xForwardedFor" in said


def test_upstreams_own_release(tmp_path, configure):
    """As published, without what Debian changed."""
    (tarball,) = STOCK.parent.glob("*.orig.tar.*z")
    shutil.unpack_archive(tarball, tmp_path)
    (release,) = [path for path in tmp_path.iterdir() if path.is_dir()]
    assert make_series(release).returncode == 0
    quilt(release, "patches", "push", "-a", "--fuzz=0")
    configure(release)
    made = run("make", "-j2", "AUTOMAKE=false", cwd=release, env=NO_AUTOTOOLS)
    assert made.returncode == 0, made.stderr
    assert "proxyVersion" in (release / "doc/stunnel.8").read_text("latin-1")


APPLIED_BY = {
    "patch": ["patch", "-p1", "-F0", "-f", "--no-backup-if-mismatch", "-i"],
    "git": ["git", "apply", "-p1"],
    "busybox": ["busybox", "patch", "-p1", "-i"],
}


@pytest.mark.parametrize("program", APPLIED_BY)
def test_other_programs_than_quilt_make_the_same_tree(series, tree, tmp_path, program):
    if shutil.which(program) is None:
        pytest.skip(f"there is no {program} here")
    other = shutil.copytree(tree, tmp_path / "other", symlinks=True)
    quilt(tree, series, "push", "-a", "--fuzz=0")
    shutil.rmtree(tree / ".pc")
    for name in NAMES:
        said = run(*APPLIED_BY[program], series / name, cwd=other)
        assert said.returncode == 0 and "fuzz" not in said.stdout, said.stdout + said.stderr
    assert content(other) == content(tree)


def test_every_patch_comes_off_again(series, tree):
    before = content(tree)
    quilt(tree, series, "push", "-a", "--fuzz=0")
    assert content(tree / "src") != {}
    quilt(tree, series, "pop", "-a")
    shutil.rmtree(tree / ".pc")
    assert content(tree) == before


def test_core_is_the_daemons_byte_for_byte(series, tree):
    quilt(tree, series, "push", "-a", "--fuzz=0")
    core = sorted(path.name for path in (TOP / "stunnel/core").glob("*.[ch]"))
    same, other, missing = filecmp.cmpfiles(
        TOP / "stunnel/core", tree / "src/core", core, shallow=False
    )
    assert (sorted(same), other, missing) == (core, [], [])
    for name in ("conn/exchange.c", "conn/exchange.h", "tls/facts.c", "tls/facts.h"):
        assert filecmp.cmp(TOP / "stunnel" / name, tree / "src" / name, shallow=False)


def test_manual_has_the_options(series, tree):
    quilt(tree, series, "push", "-a", "--fuzz=0")
    for form in ("stunnel.pod.in", "stunnel.8.in", "stunnel.html.in"):
        text = (tree / "doc" / form).read_text("latin-1")
        assert [name for name in OURS if name not in text] == []
    lint = run("man", "--warnings", "-l", "-Tutf8", tree / "doc" / "stunnel.8.in")
    assert "FORWARDING THE CLIENT" in re.sub(r".\x08", "", lint.stdout)


def test_a_refresh_changes_nothing(series, tree, tmp_path):
    """With the options that Debian's guide for maintainers recommends."""
    shutil.copytree(series, tmp_path / "patches")
    settings = 'QUILT_DIFF_OPTS="-p"\nQUILT_REFRESH_ARGS="-p ab --no-timestamps --no-index"\n'
    (tmp_path / "quiltrc").write_text(settings)
    for _ in NAMES:
        quilt(tree, tmp_path / "patches", "push", quiltrc=tmp_path / "quiltrc")
        quilt(tree, tmp_path / "patches", "refresh", quiltrc=tmp_path / "quiltrc")
    assert content(tmp_path / "patches") == content(series)


def test_check_of_one_tree_lists_its_hooks(tree, tmp_path):
    before = content(tree)
    copy = Tree(tree, tmp_path / "copy")
    needed = [hook for step in STEPS if step.is_for(copy) for hook in step.needed_hooks(copy)]
    assert len(needed) > 15
    result = make_series("--check", tree)
    assert result.returncode == 0
    assert result.stdout.splitlines()[-1].endswith("all hooks find their place")
    hooks = [line.split(": ")[1] for line in result.stdout.splitlines()[:-1]]
    assert hooks == [hook.name for hook in needed]
    assert content(tree) == before


def test_check_of_several_trees_is_a_table(tree, tmp_path):
    broken = shutil.copytree(tree, tmp_path / "broken", symlinks=True)
    edit(broken, "begin")
    before = content(tmp_path)
    result = make_series("--check", tmp_path, broken, tree)
    assert result.returncode == 1
    head, nothing, refused, good = (re.split(r"  +", line) for line in result.stdout.splitlines())
    assert (head[0], head[-1]) == ("release", "verdict")
    assert nothing[1:] == ["-"] * (len(head) - 2) + ["refused"]
    assert refused[-1] == "refused" and good[-1] == "all hooks find their place"
    shapes = {hook.name: {rule.since for rule in hook.rules} for step in STEPS for hook in step.hooks}
    assert {name for name, shape in shapes.items() if len(shape) > 1} == set(head[1:-1])
    assert all(cell in shapes[name] | {"-"} for name, cell in zip(head[1:-1], good[1:-1]))
    reasons = result.stderr.splitlines()
    assert len(reasons) == 2 and "there is no src/client.c" in reasons[0]
    assert f"{broken}: hook 'begin'" in reasons[1]
    assert content(tmp_path) == before


def test_series_for_a_release_of_ours(series, tmp_path):
    """Of the trees that are given, where Debian's cannot be had; one that is none stops no other."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/apt-get").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "bin/apt-get").chmod(0o755)
    env = {**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    result = run(TOP / "tools/dist-series", tmp_path / "dist", tmp_path, STOCK, env=env)
    assert result.returncode == 1
    assert result.stderr.startswith(f"dist-series: {tmp_path}: ")
    assert "there is no src/client.c" in result.stderr and len(result.stderr.splitlines()) == 1
    (made,) = (tmp_path / "dist").iterdir()
    assert re.fullmatch(r"(stunnel|debian)-.*\d\.\d+.*", made.name)
    assert content(made) == content(series)


def test_a_folder_that_holds_anything_else_is_left_alone(tmp_path):
    (tmp_path / "stunnel-5.00").mkdir()
    (tmp_path / "stunnel-5.00/series").touch()
    (tmp_path / "letter").write_text("dear")
    before = content(tmp_path)
    result = run(TOP / "tools/dist-series", tmp_path, STOCK)
    assert result.returncode == 1 and "letter there is no series" in result.stderr
    assert content(tmp_path) == before


# ---- hooks that are gone, or there twice ------------------------------------------------------

EDITS = {
    "service member": ("src/prototypes.h", "struct service_options_struct {", "struct renamed {"),
    "service option": ("src/options.c", "**section_ptr,\n", "**section_ptr, int more,\n"),
    "context": ("src/options.c", "context_init(section)", "make_context(section)"),
    "begin": ("src/client.c", "    transfer(c);", "    relay(c);"),
    "end": ("src/client.c", "s_poll_free(c->fds);", "c->fds=NULL;"),
    "poll": ("src/client.c", "=s_poll_wait(c->fds, timeout, 0)", "=wait_for_events(c, timeout)"),
    "nothing ready": ("src/client.c", "!(sock_can_rd || ", "!(0 | sock_can_rd || "),
    "read": ("src/client.c", "SSL_read(c->ssl, ", "read_tls(c->ssl, "),
    "pending": ("src/client.c", "SSL_pending(c->ssl)", "0"),
    "wants input": ("src/client.c", "c->ssl_ptr<BUFFSIZE", "1"),
    "readsocket": ("src/client.c", "readsocket(c->sock_rfd->fd,", "read_plain(c->sock_rfd->fd,"),
    "writesocket": ("src/client.c", "writesocket(c->sock_wfd->fd,", "write_plain(c->sock_wfd->fd,"),
    "send shutdown": ("src/client.c", "SSL_shutdown(c->ssl)", "end_tls(c->ssl)"),
    "proxy": ("src/protocol.c", "proxy_server(c, opt, phase)", "NULL"),
    "accept": ("src/client.c", "SSL_accept(c->ssl)", "accept_tls(c)"),
    "build": ("src/Makefile.in", "stunnel-client.o: client.c", "stunnel-other.o: other.c"),
}

# Patches that nobody needs, by the hook without which they are left out.
NEEDLESS = {
    "version": ("05", "src/stunnel.c", "stunnel_info(", "program_info("),
    "manual": ("06", "doc/stunnel.pod.in", "=head1 RETURN VALUE", "=head1 EXIT STATUS"),
}


def edit(tree, hook):
    name, old, new = EDITS[hook]
    path = tree / name
    text = path.read_text("latin-1")
    assert old in text
    path.write_text(text.replace(old, new), "latin-1")


def look_for(name, tree, folder):
    """The outcome of one hook alone, and the copy of the tree in which it was looked for."""
    (hook,) = (hook for step in STEPS for hook in step.hooks if hook.name == name)
    copy = Tree(tree, folder)
    return hook.apply(copy), copy


@pytest.mark.parametrize("hook", sorted(set(EDITS) - {"build"}))
def test_missing_hook(tree, tmp_path, hook):
    edit(tree, hook)
    outcome, copy = look_for(hook, tree, tmp_path / "copy")
    name = EDITS[hook][0]
    assert outcome.rule is None
    assert f"hook '{hook}'" in outcome.refusal and Path(name).name in outcome.refusal
    assert copy.path(name).read_bytes() == (tree / name).read_bytes()


def test_missing_build(tree, tmp_path):
    edit(tree, "build")
    with pytest.raises(Refusal, match="hook 'build': .* was not found in src/Makefile.in"):
        step_core(Tree(tree, tmp_path / "copy"))


@pytest.mark.parametrize("option", ["--out", "--debian"])
def test_nothing_is_written_where_hooks_are_missing(tree, tmp_path, option):
    """All that are missing are named, a line each."""
    for hook in ("service option", "begin", "read", "proxy", "build"):
        edit(tree, hook)
    before = content(tree)
    place = ["--out", tmp_path / "out"] if option == "--out" else [option]
    result = make_series(tree, *place)
    assert (result.returncode, result.stdout) == (1, "")
    named = re.findall(r"^tools/make-series: hook '([\w ]+)'.*$", result.stderr, re.M)
    assert named == ["build", "service option", "begin", "read", "proxy"]
    assert len(result.stderr.splitlines()) == len(named)
    assert content(tree) == before and not (tmp_path / "out").exists()


@pytest.mark.parametrize("hook", NEEDLESS)
def test_a_patch_that_nobody_needs_is_left_out(tree, tmp_path, hook):
    number, name, old, new = NEEDLESS[hook]
    path = tree / name
    path.write_text(path.read_text("latin-1").replace(old, new), "latin-1")
    result = make_series(tree, "--out", tmp_path / "out")
    assert result.returncode == 0
    assert re.fullmatch(rf".*warning: {number}\S+ is left out: hook '{hook}'.*\n", result.stderr)
    names = [name for name in NAMES if not name.startswith(number)]
    assert (tmp_path / "out/series").read_text().split() == names
    quilt(tree, tmp_path / "out", "push", "-a", "--fuzz=0")


def test_what_cannot_be_parsed_is_told_as_such(tree, tmp_path):
    path = tree / "src/client.c"
    path.write_text(path.read_text().replace("    transfer(c);", "    transfer(c) else;"))
    assert "spatch cannot parse" in look_for("begin", tree, tmp_path / "copy")[0].refusal


def test_hook_that_is_there_twice(tree, tmp_path):
    path = tree / "src/client.c"
    path.write_text(path.read_text().replace("    transfer(c);", "    transfer(c);\n    transfer(c);"))
    refusal = look_for("begin", tree, tmp_path / "copy")[0].refusal
    assert "hook 'begin'" in refusal and "was found 2 times (expected: 1)" in refusal
    assert "src/client.c" in refusal


def test_older_way_to_throw(tree, tmp_path):
    path = tree / "src/client.c"
    path.write_text(path.read_text().replace("throw_exception(c, 1)", "longjmp(c->err, 1)"))
    outcome, copy = look_for("abort", tree, tmp_path / "copy")
    assert outcome.found == 1
    assert "    longjmp(c->err, 1);\n}\n\n" in copy.read("src/client.c")


def test_not_a_tree_of_stunnel(tmp_path):
    result = make_series(tmp_path)
    assert result.returncode == 1 and "there is no src/client.c" in result.stderr


def test_tree_that_was_patched(series, tree):
    quilt(tree, series, "push", "-a", "--fuzz=0")
    result = make_series(tree, "--debian")
    assert result.returncode == 1 and "it was patched already" in result.stderr


# ---- Debian -----------------------------------------------------------------------------------


def test_debian_series_and_changelog(series, tree, monkeypatch):
    files = [(name, (series / name).read_bytes().decode("latin-1")) for name in NAMES]
    old = (tree / "debian/patches/series").read_text() + "# for S\u00fcdwind\n"
    (tree / "debian/patches/series").write_text(old, encoding="utf-8")
    log = (tree / "debian/changelog").read_text()
    monkeypatch.setenv("DEBFULLNAME", "A Packager")
    monkeypatch.setenv("DEBEMAIL", "a@example.test")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1800000000")
    assert write_debian(tree, files) == tree / "debian/patches"
    assert (tree / "debian/patches/series").read_text() == old + "".join(f"{n}\n" for n in NAMES)
    assert {name: (tree / "debian/patches" / name).read_bytes() for name in NAMES} == {
        name: (series / name).read_bytes() for name in NAMES
    }
    new = (tree / "debian/changelog").read_text()
    assert new.endswith(log)
    said = run("dpkg-parsechangelog", "-l", tree / "debian/changelog").stdout
    version = run("dpkg-parsechangelog", "-l", "-", "-S", "Version", input=log).stdout.strip()
    assert f"Version: {version}+http1\n" in said
    assert "Maintainer: A Packager <a@example.test>" in said
    assert "Date: Fri, 15 Jan 2027 08:00:00 +0000" in said
    with pytest.raises(Refusal, match="is there already"):
        write_debian(tree, files)
    assert (tree / "debian/changelog").read_text() == new


# ---- whose lines these are --------------------------------------------------------------------

SHORTER_IS_NOBODYS = 30  # characters beside white space: `return n;`, `if (section->option.client)`
# What there is one way to write of: headers of others, and the names that they have.
NOBODYS = re.compile(
    r"\s*#\s*(?:include\s*<|ifn?def \w+$|if OPENSSL_VERSION_NUMBER [<>]=? \w+$)"
    r"|[-+\s]*(?:return |\(SSL_METHOD \*\))(?:SSL|TLS)\w+(?:\(\))?;$"
)


def bare(line):
    return re.sub(r"\s", "", line).lstrip("+-")


def test_no_line_of_stock_is_in_patches():
    stock = set()
    for pattern in ("src/*.[ch]", "doc/*.in", "src/Makefile.*"):
        for path in STOCK.glob(pattern):
            stock |= {bare(line) for line in path.read_text("latin-1").splitlines()}
    assert len(stock) > 5000
    found = []
    for path in sorted((TOP / "patches").iterdir()):
        for n, line in enumerate(path.read_text().splitlines(), 1):
            if NOBODYS.match(line) or len(bare(line)) < SHORTER_IS_NOBODYS:
                continue
            if bare(line) in stock:
                found.append(f"{path.name}:{n}: {line}")
    assert found == []
