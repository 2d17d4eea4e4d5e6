# SPDX-License-Identifier: ISC
"""tools/release: the same bytes of the same commit, sums that are signed, and what is in them."""

import hashlib
import json
import os
import subprocess
import sys
import tarfile
from concurrent.futures import ThreadPoolExecutor

import pytest

from test_make_series import STOCK, TOP

pytestmark = [
    pytest.mark.skipif(not (STOCK / "src/client.c").exists(), reason="STOCK names no tree of stunnel"),
    pytest.mark.skipif(not (TOP / ".git").exists(), reason="this is a release, not a checkout"),
]


def release(folder, *arguments, **environment):
    return subprocess.run(
        [TOP / "tools/release", folder, *arguments],
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, **environment},
    )


@pytest.fixture(scope="module")
def keyring(tmp_path_factory):
    """A GNUPGHOME with a key of our own."""
    home = tmp_path_factory.mktemp("gnupg")
    home.chmod(0o700)
    command = ["gpg", "--batch", "--passphrase", "", "--quick-gen-key", "releases@example.test", "ed25519"]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "GNUPGHOME": str(home)})
    yield home
    subprocess.run(["gpgconf", "--kill", "all"], env={**os.environ, "GNUPGHOME": str(home)})


@pytest.fixture(scope="module")
def made(tmp_path_factory, keyring):
    """Two releases of the last commit, made at the same time: one is signed."""
    folder = tmp_path_factory.mktemp("releases")
    calls = [("signed", "--key", "releases@example.test", STOCK), ("unsigned", "--unsigned", STOCK)]
    with ThreadPoolExecutor(2) as pool:
        work = [pool.submit(release, folder / name, *rest, GNUPGHOME=str(keyring)) for name, *rest in calls]
    for one in work:
        assert one.result().returncode == 0, one.result().stderr
    return folder


def test_the_same_commit_gives_the_same_bytes(made):
    names = sorted(path.name for path in (made / "unsigned").iterdir())
    assert len(names) == 3
    for name in names:
        assert (made / "unsigned" / name).read_bytes() == (made / "signed" / name).read_bytes()


def test_sums_are_signed(made, keyring):
    environment = {**os.environ, "GNUPGHOME": str(keyring)}
    for command in (["gpg", "--verify", "SHA256SUMS.asc", "SHA256SUMS"], ["sha256sum", "-c", "SHA256SUMS"]):
        subprocess.run(command, cwd=made / "signed", check=True, capture_output=True, env=environment)


def test_the_bill_lists_each_file_of_the_tarball(made):
    (archive,) = (made / "unsigned").glob("*.tar.gz")
    bill = json.loads(archive.with_name(f"{archive.name}.spdx.json").read_text())
    listed = {file["fileName"]: file for file in bill["files"]}
    with tarfile.open(archive) as tar:
        content = {
            "./" + member.name.partition("/")[2]: tar.extractfile(member).read() for member in tar if member.isfile()
        }
    assert listed.keys() == content.keys()
    for name, file in listed.items():
        sums = {each["algorithm"]: each["checksumValue"] for each in file["checksums"]}
        assert sums["SHA1"] == hashlib.sha1(content[name]).hexdigest()
    assert listed["./stunnel/core/h1.c"]["licenseConcluded"] == "ISC"
    assert any(name.startswith("./patches/series/") and name.endswith("/series") for name in listed)
    own, *others = bill["packages"]
    assert own["checksums"][0]["checksumValue"] == hashlib.sha256(archive.read_bytes()).hexdigest()
    assert {"openssl", "libuv"} <= {package["name"] for package in others}
    known = {bill["SPDXID"], *(one["SPDXID"] for one in [*bill["packages"], *bill["files"]])}
    assert len(known) == 1 + len(bill["packages"]) + len(bill["files"])
    for relation in bill["relationships"]:
        assert {relation["spdxElementId"], relation["relatedSpdxElement"]} <= known


def test_a_folder_that_is_there_stays_as_it_is(tmp_path):
    (tmp_path / "file").write_text("mine")
    result = release(tmp_path, "--unsigned")
    assert result.returncode == 2 and "is there already" in result.stderr
    assert (tmp_path / "file").read_text() == "mine"


def test_without_a_tool_no_folder_is_left(tmp_path):
    command = [sys.executable, TOP / "tools/release", tmp_path / "new", "--unsigned"]
    environment = {**os.environ, "PATH": str(tmp_path)}
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    assert (result.returncode, "tools/release: git: " in result.stderr) == (1, True), result.stderr
    assert list(tmp_path.iterdir()) == []
