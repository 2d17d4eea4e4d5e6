# SPDX-License-Identifier: ISC
"""patches/VERSIONS.md is what was tried, as patches/versions.tsv has it, and nothing else."""

import versions
from versions import Row


def test_page_is_what_the_data_say():
    """tests/patches/trial --page makes it."""
    assert versions.PAGE.read_text() == versions.page(versions.read())


def test_data_are_as_they_are_written(tmp_path):
    versions.write(versions.read(), tmp_path / "again")
    assert (tmp_path / "again").read_text() == versions.DATA.read_text()


def test_a_tree_that_was_tried_again_has_one_row(tmp_path):
    data = tmp_path / "data"
    for row in (Row("5.9", wire="7/1"), Row("5.10", wire="8/0"), Row("5.9", wire="8/0")):
        versions.put(row, data)
    assert [(row.release, row.wire) for row in versions.read(data)] == [("5.9", "8/0"), ("5.10", "8/0")]


def test_what_nobody_tried_is_not_said_to_pass():
    tried = Row("5.1", rules="read=all", patches="6", wire="10/2")
    said = versions.page([tried, Row("5.2", rules="read=all"), Row("5.3", refused="hook 'end'")])
    (row,) = [line for line in said.splitlines() if line.startswith("| 5.1 |")]
    assert "10 passed, **2 failed**" in row and row.count("not tried") == 3
    assert "| 5.1 to 5.2 | read: all |" in said and "| 5.3 | **refused:** hook 'end' |" in said
