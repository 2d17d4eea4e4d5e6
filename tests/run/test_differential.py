# SPDX-License-Identifier: ISC
"""No server reads a request without our fields in what the daemon sends on of the wire corpus."""

from differential import corpus, differences, found_all, run, self_check, table
from peers import daemon_only

pytestmark = daemon_only


def test_every_request_that_a_server_reads_has_our_fields():
    rows = run(corpus())
    print(table(rows), *differences(rows), sep="\n")
    assert not [complaint for row in rows for complaint in row.complaints]
    assert all(row.ours > row.cases / 3 for row in rows)


def test_what_a_server_reads_that_is_not_ours_is_found():
    rows = self_check()
    print(table(rows), *(complaint for row in rows for complaint in row.complaints), sep="\n")
    assert found_all(rows)
