# SPDX-License-Identifier: ISC
"""Makefiles that CI has no tree of, on skeletons of our own: makefiles/ has the shapes.

make itself says what it would do, where it is GNU make's; nmake's are read.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from series.build import Build
from series.tree import Refusal
from series.windows import COMPILES, add_to_makefiles

SHAPES = Path(__file__).parent / "makefiles"
GCC = "gcc -I./core -I. -D_POSIX_THREAD_SAFE_FUNCTIONS"
FILES = ["core/in.c", "core/in.h", "glue.c", "glue.h"]


class Tree:
    """src/, with skeletons and empty sources."""

    def __init__(self, folder, names):
        self.folder = folder
        (folder / "src" / "core").mkdir(parents=True)
        (folder / "out").mkdir()
        for name in names:
            shutil.copy(SHAPES / name, folder / "src" / name)
        for name in [*FILES, "main.c", "main.h", "client.c", "other.c"]:
            (folder / "src" / name).touch()

    def path(self, name):
        return self.folder / name

    def read(self, name, _hook=None):
        return self.path(name).read_bytes().decode()

    def write(self, name, text):
        self.path(name).write_bytes(text.encode())

    def would_do(self, makefile, goal="all"):
        """The commands, without what make says beside them."""
        result = subprocess.run(
            ["make", "-n", "-f", makefile, "srcdir=.", goal],
            cwd=self.folder / "src",
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stderr
        return [line for line in result.stdout.splitlines() if line.startswith("gcc ")]


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path, [path.name for path in SHAPES.iterdir()])


def test_there_is_a_skeleton_of_each():
    assert {Path(name).name for name in COMPILES} == {path.name for path in SHAPES.iterdir()}


@pytest.mark.parametrize(
    "name,command",
    [
        ("mingw.mak", GCC.replace("-I.", "-I../src") + " -Wall -o../out/{}.o -c ../src/{}.c"),
        ("mingw.mk", GCC + " -c -Wall -Wextra -Wpedantic -ansi -std=c11 -o ../out/{}.o {}.c"),
    ],
)
def test_ours_are_compiled_with_mingw(tree, name, command):
    add_to_makefiles(tree, FILES)
    commands = tree.would_do(name)
    in_core = command.replace("{}.c", "core/{}.c")
    assert in_core.format("in", "in") in commands and command.format("glue", "glue") in commands
    client = command.replace(" -std=c11", "").format("client", "client")
    assert client in commands
    assert len(commands) == 5


@pytest.mark.parametrize("name", ["os2.mak", "os2.mak.in"])
def test_ours_are_compiled_beside_their_sources(tree, name):
    add_to_makefiles(tree, FILES)
    commands = tree.would_do(name)
    assert "gcc -I./core -I. -Wall -o core/in.o -c core/in.c" in commands
    assert "gcc -I./core -I. -Wall -o glue.o -c glue.c" in commands
    assert "$(OBJS): \\\n\tcore/in.h glue.h\n" in tree.read(f"src/{name}")


@pytest.mark.parametrize("name,end", [("vc.mak", "\r\n"), ("evc.mak", "\n")])
def test_ours_are_in_nmakes_files(tree, name, end):
    add_to_makefiles(tree, FILES)
    text = tree.read(f"src/{name}")
    lines = text.split(end)
    assert not any("\r" in line or "\n" in line for line in lines)
    place = lines.index("OBJS=$(OBJ)\\main.obj $(OBJ)\\client.obj \\")
    assert lines[place + 1] == "\t$(OBJ)\\in.obj $(OBJ)\\glue.obj \\"
    command = "\t$(CC) -I$(SRC)\\core -I$(SRC) $(CFLAGS) -Fo$@ -c $<"
    for head in ("{$(SRC)\\}.c{$(OBJ)\\}.obj:", "{$(SRC)\\core}.c{$(OBJ)\\}.obj:"):
        assert lines[lines.index(head) + 1] == command
    assert name == "evc.mak" or "$(OBJS): *.h core\\*.h vc.mak" in lines


def test_ours_are_compiled_for_windows_by_automakes_file(tree):
    add_to_makefiles(tree, FILES)
    for name in ("Makefile.am", "Makefile.in"):
        assert "\n%.obj: $(srcdir)/core/%.c $(common_headers)\n" in tree.read(f"src/{name}")
    tree.write("src/Makefile.in", configured(tree))
    commands = tree.would_do("Makefile.in", "windows")
    assert f"{GCC} -Wall -c -o in.obj core/in.c" in commands
    assert f"{GCC} -Wall -c -o glue.obj glue.c" in commands


@pytest.mark.parametrize("name", sorted(path.name for path in SHAPES.iterdir()))
def test_a_tree_need_not_have_all_of_them(tmp_path, name):
    tree = Tree(tmp_path, [name])
    before = tree.read(f"src/{name}")
    add_to_makefiles(tree, FILES)
    assert tree.read(f"src/{name}") != before
    assert {path.name for path in (tmp_path / "src").iterdir()} & set(COMPILES) <= {name}


@pytest.mark.parametrize(
    "name,old,new,said",
    [
        ("mingw.mak", "client.o", "peer.o", "a list with client's object was not found in src/mingw.mak"),
        ("vc.mak", ".c{$(OBJ)", ".cc{$(OBJ)", "the rule for C was found 0 times in src/vc.mak"),
    ],
)
def test_another_shape_is_told(tree, name, old, new, said):
    tree.write(f"src/{name}", tree.read(f"src/{name}").replace(old, new))
    with pytest.raises(Refusal, match=re.escape(said)):
        add_to_makefiles(tree, FILES)


def configured(tree):
    """Makefile.in, with an automake that follows no dependencies."""
    text = re.sub(r"^@AMDEP_TRUE@.*\n", "", tree.read("src/Makefile.in"), flags=re.M)
    text = re.sub(r"^@am__fastdepCC_TRUE@.*\n", "", text, flags=re.M)
    return text.replace("@am__fastdepCC_FALSE@", "")


def test_objects_without_their_programs_name(tree):
    """Releases to 4.43."""
    Build(tree).add("title", FILES, "-I$(srcdir)/core")
    assert "AM_CPPFLAGS += -I$(srcdir)/core\n" in tree.read("src/Makefile.am")
    for object_ in ("in", "glue"):
        assert f"./$(DEPDIR)/{object_}.Po" in tree.read("src/Makefile.in")
    tree.write("src/Makefile.in", configured(tree))
    commands = tree.would_do("Makefile.in")
    assert "gcc -I./core -DX=1 -c -o in.o ./core/in.c" in commands
    assert "gcc -I./core -DX=1 -c glue.c" in commands
    assert len(commands) == 4
