# SPDX-License-Identifier: ISC
"""No server reads a request without our fields in what the daemon sends on, whatever comes."""

import pytest

from attacks import corpus, mutations, smuggling
from differential import TELLING, found_all, heading, missing, run, self_check
from observers import OBSERVERS
from peers import daemon_only, sanitized

SEED = 1

pytestmark = [
    daemon_only,
    pytest.mark.skipif(sanitized(), reason="sanitizers see mutated requests in the fuzzers"),
]


@pytest.fixture(params=[*OBSERVERS, *TELLING])
def name(request):
    lacking = missing(request.param)
    if lacking:
        pytest.skip(f"it needs {' '.join(lacking)}")
    return request.param


def tell(row):
    print(heading(), row.line(), *row.complaints, sep="\n")


def test_every_request_that_a_server_reads_has_our_fields(name):
    print(f"seed {SEED}")
    row = run(name, [*corpus(), *smuggling(), *mutations(SEED, 300)], requests=100)
    tell(row)
    assert not row.complaints
    assert row.kept == 100
    assert row.ours > row.cases / 2


def test_what_a_server_reads_that_is_not_ours_is_found(name):
    row = self_check(name)
    tell(row)
    assert found_all(row)
