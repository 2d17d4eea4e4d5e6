# SPDX-License-Identifier: ISC
"""The rules of 00-openssl.cocci on skeletons of our own, one for each, named after its hook."""

import shutil
from pathlib import Path

import pytest

from series import patches
from series.hooks import hooks_of
from series.openssl import places
from series.tree import Refusal

TOP = Path(__file__).resolve().parents[2]
SHAPES = Path(__file__).parent / "openssl"

RULES = {
    hook.name: hook.rules[0] for hook in hooks_of(TOP / "patches" / "00-openssl.cocci")
}

needs_spatch = pytest.mark.skipif(shutil.which("spatch") is None, reason="there is no spatch here")


def skeleton(name):
    (found,) = SHAPES.glob(f"{name.replace(' ', '-')}.*")
    return found


class Tree:
    """One skeleton, where its rule looks for it."""

    def __init__(self, work, rule, text):
        self.work = work
        suffix = skeleton(rule.name).suffix
        self.file = f"src/file{suffix}" if "*" in rule.file else rule.file
        self.path(self.file).parent.mkdir(parents=True)
        self.write(self.file, text)

    def path(self, name):
        return self.work / name

    def names(self, pattern):
        return sorted(str(path.relative_to(self.work)) for path in self.work.glob(pattern))

    def read(self, name, _hook=None):
        return self.path(name).read_text()

    def write(self, name, text):
        self.path(name).write_text(text)


@needs_spatch
@pytest.mark.parametrize("name", RULES)
def test_rule_finds_its_shape_and_leaves_nothing(tmp_path, name):
    rule = RULES[name]
    text = skeleton(name).read_text()
    tree = Tree(tmp_path, rule, text)
    assert rule.is_needed(tree) == bool(rule.gone)
    assert rule.apply(tree) >= rule.least
    assert tree.read(tree.file) != text
    assert rule.places(tree) == []


def test_every_skeleton_belongs_to_a_rule():
    assert {skeleton(name) for name in RULES} == set(SHAPES.iterdir())


@needs_spatch
def test_locks_go_with_the_functions_that_openssl_called(tmp_path):
    rule = RULES["locks for OpenSSL"]
    tree = Tree(tmp_path, rule, skeleton(rule.name).read_text())
    rule.apply(tree)
    left = tree.read(tree.file)
    assert "stunnel_thread" in left
    assert not [word for word in ("CRYPTO_", "name_thread", "NOEXPORT", "some", "more") if word in left]


@needs_spatch
def test_what_the_rule_does_not_find_is_refused_with_its_place(tmp_path):
    rule = RULES["DH parameters"]
    tree = Tree(tmp_path, rule, "int bits(DH *dh)\n{\n\treturn BN_num_bits(dh->p);\n}\n")
    with pytest.raises(Refusal, match=r"hook 'DH parameters'.*src/file.c:3: `dh->p`"):
        rule.apply(tree)


def test_what_stands_in_a_file_without_a_rule_is_refused(tmp_path):
    rule = RULES["header of SSL 2 and 3"]
    tree = Tree(tmp_path, rule, "")
    tree.write("src/other.h", "\n#include <openssl/ssl23.h>\n")
    assert rule.apply(tree) == 0
    with pytest.raises(Refusal, match="src/other.h:2"):
        rule.refuse_what_is_left(tree)


def test_port_is_not_for_a_tree_of_today(tmp_path):
    """Which has old names only where an old OpenSSL compiles them."""
    text = "#if OPENSSL_VERSION_NUMBER<0x10100000L\n\tn = dh->p;\n#else\n\tn = DH_get0_p(dh);\n#endif\n"
    tree = Tree(tmp_path, RULES["DH parameters"], text)
    assert not patches.STEPS[0].is_for(tree)
    tree.write(tree.file, text.replace("<", ">="))
    assert patches.STEPS[0].is_for(tree)


COMPILED = {
    "dh->p": [1],
    "/* dh->p */": [],
    '"dh->p"': [],
    "#if OPENSSL_VERSION_NUMBER>=0x00908000L\ndh->p\n#endif": [2],
    "#if OPENSSL_VERSION_NUMBER < 0x10100000L\ndh->p\n#else\n#endif\ndh->p": [5],
    "#if OPENSSL_VERSION_NUMBER>=0x1L && OPENSSL_VERSION_NUMBER<0x10100004L\ndh->p\n#endif": [],
    "#if OPENSSL_VERSION_NUMBER>=0x10101000L\n#elif defined(X)\ndh->p\n#else\ndh->p\n#endif": [],
    "#if defined(X) || OPENSSL_VERSION_NUMBER<0x1L\ndh->p\n#else\ndh->p\n#endif": [2, 4],
    "#ifdef X\n#if OPENSSL_VERSION_NUMBER<0x1L\ndh->p\n#endif\ndh->p\n#endif": [5],
    "#if defined(X) || \\\n  OPENSSL_VERSION_NUMBER<0x1L\ndh->p\n#endif": [3],
    "#if OPENSSL_VERSION_NUMBER<0x30000000L\ndh->p\n#else\ndh->p\n#endif": [2, 4],
}


@pytest.mark.parametrize("text", COMPILED)
def test_only_code_that_is_compiled_counts(text):
    assert [line for line, _ in places(text, r"\bdh->p\b")] == COMPILED[text]
