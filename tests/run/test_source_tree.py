# SPDX-License-Identifier: ISC
"""tools/check and tools/build in trees that hold more than the project."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from peers import PATCHED, sanitized

TOP = Path(__file__).resolve().parents[2]

if PATCHED or sanitized() or not (TOP / ".git").exists() or not shutil.which("git"):
    pytest.skip("needs a clone of the daemon's tree", allow_module_level=True)


def run(command, **options):
    return subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, **options
    )


@pytest.fixture
def tree(tmp_path):
    """A copy of what git knows here, as it stands now, and known to a git of its own."""
    folder = tmp_path / "tree"
    names = run(["git", "ls-files"], cwd=TOP).stdout.splitlines()
    for name in [*names, "tools/check", "tools/build"]:
        if (TOP / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(TOP / name, folder / name)
    for command in (["init", "-q"], ["add", "-A"]):
        assert run(["git", *command], cwd=folder).returncode == 0
    return folder


def add(folder, name, text="#!/usr/bin/make -f\n# \u00e9\n"):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


def check(folder):
    """Without clang-format, which takes seconds and is not what this is about."""
    stubs = folder.parent / "no-clang-format"
    add(stubs, "clang-format", "#!/bin/sh\necho version 0\n")
    (stubs / "clang-format").chmod(0o755)
    environment = {**os.environ, "PATH": f"{stubs}:{os.environ['PATH']}"}
    done = run([folder / "tools/check", folder, folder], env=environment)
    return done.returncode, done.stdout


def test_check_passes_over_what_git_does_not_know(tree):
    add(tree, "packaging/rules")
    add(tree, "obj-x86_64-linux-gnu/config.h", "int a;\n")
    assert check(tree) == (0, "13 passed, 0 failed\n")


def test_check_judges_what_git_knows(tree):
    add(tree, "stunnel/net_more.py", "x = 1\n")
    assert run(["git", "add", "stunnel/net_more.py"], cwd=tree).returncode == 0
    code, said = check(tree)
    assert code == 1 and "stunnel/net_more.py: not exactly one line" in said


def test_check_of_a_release_goes_by_its_list(tree):
    """Also where a packager has put all of it, and more, into a git of his own."""
    names = run(["git", "ls-files"], cwd=tree).stdout
    add(tree, "tools/files", names)
    add(tree, "packaging/rules")
    assert run(["git", "add", "-A"], cwd=tree).returncode == 0
    assert check(tree)[0] == 0
    shutil.rmtree(tree / ".git")
    assert check(tree)[0] == 0


def append(folder, name, line):
    with open(folder / name, "a") as file:
        file.write(line + "\n")


def compile_as(folder, name, source):
    """An object of a build inside the tree, made of other code than its source."""
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    command = ["cc", "-c", "-x", "c", "-w", "-o", folder / name, "-"]
    assert run(command, input=source).returncode == 0


def said_by(name, folder):
    """What one check says, without its name."""
    code, said = check(folder)
    lines = [line.split(": ", 1) for line in said.splitlines() if ": " in line]
    assert code == 1 or not lines
    return [rest for check_name, rest in lines if check_name == name]


def test_check_finds_a_circle_of_includes(tree):
    append(tree, "stunnel/sys/board.h", '#include "sys/confined.h"')
    assert said_by("circles", tree) == []
    append(tree, "stunnel/sys/confined.c", '#include "sys/log_file.h"')
    append(tree, "stunnel/sys/log_file.h", '#include "sys/board.h"')
    assert said_by("circles", tree) == [
        "sys/board includes sys/confined.h of sys/confined; "
        "sys/confined includes sys/log_file.h of sys/log_file; "
        "sys/log_file includes sys/board.h of sys/board"
    ]


def test_check_finds_a_circle_in_the_core(tree):
    append(tree, "stunnel/core/span.h", '#include "out.h"')
    assert said_by("circles", tree) == [
        "core/out includes span.h of core/span; core/span includes out.h of core/out"
    ]


def test_check_finds_a_circle_of_symbols(tree):
    """No header tells of it: each declares what it calls by itself."""
    compile_as(tree, "stunnel/sys/board.o", "int board_a(void) { return confined_b(); }")
    assert said_by("circles", tree) == []
    compile_as(tree, "stunnel/sys/confined.o", "int confined_b(void) { return board_a(); }")
    assert said_by("circles", tree) == [
        "sys/board calls confined_b of sys/confined; sys/confined calls board_a of sys/board"
    ]


def test_check_passes_over_objects_of_tests_and_of_sources_that_are_gone(tree):
    compile_as(tree, "stunnel/sys/gone.o", "int stray(void) { return 0; }")
    compile_as(tree, "stunnel/sys/tests_unit_board-board.o", "int stray(void) { return 0; }")
    assert said_by("prefixes", tree) == []


@pytest.mark.parametrize("object_file", ["sys/board.o", "core/libcore_a-out.o"])
def test_check_finds_a_name_that_is_not_its_files(tree, object_file):
    module = object_file.replace("libcore_a-", "").removesuffix(".o")
    folder, stem = module.split("/")
    right = f"int {stem}; int {stem}_a = 1; int {folder}_{stem}_b(void) {{ return 0; }}"
    hidden = "static int helper(void) { return 0; } int main(void) { return helper(); }"
    compile_as(tree, f"stunnel/{object_file}", f"{right} {hidden}")
    assert said_by("prefixes", tree) == []
    compile_as(tree, f"stunnel/{object_file}", f"{right} int {stem}s_c; const int wrong = 1;")
    assert said_by("prefixes", tree) == [f"{module}: exports {stem}s_c", f"{module}: exports wrong"]


def test_check_finds_a_file_that_the_architecture_page_does_not_list(tree):
    licence = "/* SPDX-License-" + "Identifier: ISC */\n"
    for name in ("stunnel/extra/more.h", "stunnel/sys/more.h"):
        add(tree, name, licence)
    assert run(["git", "add", "-A"], cwd=tree).returncode == 0
    assert said_by("folders", tree) == [
        "stunnel/extra/more.h: Makefile.am lists no file of that folder",
        "stunnel/sys/more.h: Makefile.am does not list it",
    ]


def test_check_finds_an_include_of_a_layer_above(tree):
    append(tree, "stunnel/sys/board.h", '#include "process/child.h"')
    line = (tree / "stunnel/sys/board.h").read_text().count("\n")
    assert said_by("includes_by_layer", tree) == [
        f"stunnel/sys/board.h:{line}: sys/ includes process/child.h of a layer above it"
    ]


def test_check_finds_a_long_file(tree):
    path = tree / "stunnel/sys/board.c"
    lines = path.read_text().count("\n")
    append(tree, "stunnel/sys/board.c", "\n" * (599 - lines))
    assert said_by("lengths", tree) == []
    append(tree, "stunnel/sys/board.c", "")
    assert said_by("lengths", tree) == ["stunnel/sys/board.c: 601 lines"]


def test_check_misses_a_program_that_git_would_take(tree):
    ignored = (tree / ".gitignore").read_text().replace("/tools/demo-backend\n", "")
    (tree / ".gitignore").write_text(ignored)
    code, said = check(tree)
    assert code == 1 and ".gitignore: lacks tools/demo-backend" in said


def test_build_beside_one_inside_the_tree(tree, tmp_path):
    """A configure that only says where it lies stands for the real one."""
    (tree / "config.status").touch()
    configure = "#!/bin/sh\n# SPDX\nprintf 'all:\\n\\t@echo %s\\n' \"$0 $*\" >Makefile\n"
    stubs = tmp_path / "stubs"
    script = f"#!/bin/sh\ncat >configure <<'EOF'\n{configure}EOF\nchmod 755 configure\n"
    add(stubs, "autoreconf", script)
    (stubs / "autoreconf").chmod(0o755)
    build = tmp_path / "out"
    environment = {**os.environ, "PATH": f"{stubs}:{os.environ['PATH']}"}
    done = run([tree / "tools/build", build, "--enable-werror"], env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{build}/source/configure --quiet --enable-werror\n"
    assert (build / "source/stunnel/core/h1.c").exists()
    assert not (tree / "configure").exists()
