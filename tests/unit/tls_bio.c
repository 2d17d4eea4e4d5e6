/* SPDX-License-Identifier: ISC */
#include "tls/bio.h"

#include <errno.h>
#include <openssl/bio.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"
#include "sys/net.h"

#define RECORD 16384

static struct tls_bio b;
static BIO *bio; /* as OpenSSL has it */
static int peer;
static char record[RECORD], received[1 << 20];
static unsigned last_writes;

ssize_t net_write_last(int fd, const char *p, size_t len)
{
	last_writes++;
	return write(fd, p, len);
}

static void begin(enum tls_bio_state state)
{
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	peer = fd[0];
	bio = tls_bio_open(&b, fd[1], fd[1]);
	assert_non_null(bio);
	b.state = state;
	for (size_t i = 0; i < sizeof record; i++)
		record[i] = (char)(i % 251);
}

static void end(void)
{
	BIO_free(bio);
	close(b.in);
	close(peer);
	tls_bio_close(&b);
	assert_false(tls_bio_keeps(&b));
}

/* Writes records until the socket does not take one whole; the bytes that it took. */
static size_t fill(void)
{
	size_t taken = 0;
	int n;

	while ((n = BIO_write(bio, record, RECORD)) == RECORD && !tls_bio_keeps(&b))
		taken += RECORD;
	return n > 0 ? taken + (size_t)n : taken;
}

/* All that the peer can read, flushing meanwhile; bytes of records one behind the other. */
static size_t drain(void)
{
	size_t total = 0;
	ssize_t n;
	int rc;

	do {
		rc = tls_bio_flush(&b);
		assert_true(rc == 0 || rc == -EAGAIN);
		while ((n = read(peer, received + total, sizeof received - total)) > 0)
			total += (size_t)n;
	} while (rc != 0);
	return total;
}

static void assert_records(size_t total)
{
	for (size_t i = 0; i < total; i++)
		assert_int_equal(received[i], record[i % RECORD]);
}

static void a_flight_goes_out_as_one(void **state)
{
	char c;

	(void)state;
	begin(TLS_BIO_GATHERS);
	b.reads = 1;
	assert_int_equal(BIO_write(bio, "hello", 5), 5);
	assert_int_equal(BIO_write(bio, "finished", 8), 8);
	assert_int_equal(read(peer, received, sizeof received), -1);
	assert_int_equal(write(peer, "x", 1), 1);
	assert_int_equal(BIO_read(bio, &c, 1), -1); /* its answer comes behind it */
	assert_true(BIO_should_read(bio));
	assert_int_equal(tls_bio_flush(&b), 0);
	assert_int_equal(read(peer, received, sizeof received), 13);
	assert_int_equal(BIO_read(bio, &c, 1), 1);
	assert_null(b.kept);
	end();
}

/* Behind a handshake whose last flight waits. */
static void begin_with_flight(void)
{
	begin(TLS_BIO_GATHERS);
	assert_int_equal(BIO_write(bio, "finished", 8), 8);
	b.state = TLS_BIO_KEEPS;
	b.holds = true;
}

static void a_flight_that_is_held_goes_with_the_next_write(void **state)
{
	(void)state;
	begin_with_flight();
	assert_false(tls_bio_keeps(&b));
	assert_int_equal(BIO_write(bio, record, RECORD), RECORD);
	assert_int_equal(read(peer, received, sizeof received), 8 + RECORD);
	assert_memory_equal(received, "finished", 8);
	assert_memory_equal(received + 8, record, RECORD);
	assert_false(b.holds);
	assert_null(b.kept);
	end();
}

static void a_flight_that_is_held_can_be_flushed(void **state)
{
	(void)state;
	begin_with_flight();
	assert_int_equal(read(peer, received, sizeof received), -1);
	assert_int_equal(tls_bio_flush(&b), 0);
	assert_int_equal(read(peer, received, sizeof received), 8);
	assert_int_equal(BIO_write(bio, "answer", 6), 6);
	assert_int_equal(read(peer, received, sizeof received), 6);
	end();
}

static void a_flight_that_is_held_is_kept_behind_a_full_socket(void **state)
{
	size_t taken;

	(void)state;
	begin(TLS_BIO_KEEPS);
	taken = fill();
	assert_true(tls_bio_keeps(&b));
	b.holds = true;
	assert_int_equal(BIO_write(bio, "answer", 6), 6);
	assert_true(tls_bio_keeps(&b));
	assert_int_equal(drain(), taken + 6);
	assert_records(taken);
	end();
}

static void more_than_a_record_of_flight_with_a_full_socket_is_openssls_matter(void **state)
{
	size_t taken = 0;

	(void)state;
	begin(TLS_BIO_GATHERS);
	for (int n; (n = BIO_write(bio, record, RECORD)) > 0;) {
		assert_int_equal(n, RECORD);
		taken += RECORD;
	}
	assert_true(BIO_should_write(bio));
	assert_int_equal(drain(), taken);
	assert_records(taken);
	end();
}

static void a_record_is_taken_whole_and_arrives_whole(void **state)
{
	size_t taken;

	(void)state;
	begin(TLS_BIO_KEEPS);
	taken = fill();
	assert_int_equal(taken % RECORD, 0);
	assert_true(tls_bio_keeps(&b));
	assert_int_equal(tls_bio_flush(&b), -EAGAIN);
	assert_int_equal(drain(), taken);
	assert_records(taken);
	assert_null(b.kept);
	end();
}

static void what_is_written_behind_it_stays_behind_it(void **state)
{
	size_t taken, behind = 0;

	(void)state;
	begin(TLS_BIO_KEEPS);
	taken = fill();
	while (BIO_write(bio, "answer", 6) == 6)
		behind += 6;
	assert_true(BIO_should_write(bio));
	assert_in_range(behind, 4096 - 6, TLS_BIO_MAX);
	assert_int_equal(drain(), taken + behind);
	assert_records(taken);
	for (size_t i = 0; i < behind; i++)
		assert_int_equal(received[taken + i], "answer"[i % 6]);
	assert_int_equal(BIO_write(bio, "answer", 6), 6);
	assert_false(tls_bio_keeps(&b));
	end();
}

static void a_peer_that_is_gone_is_an_error(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN); /* as workers do */
	begin(TLS_BIO_KEEPS);
	fill();
	close(peer);
	assert_int_equal(tls_bio_flush(&b), -EPIPE);
	assert_int_equal(BIO_write(bio, "answer", 6), -1);
	assert_int_equal(errno, EPIPE);
	assert_false(BIO_should_retry(bio));
	end();
}

static void reads_of_the_socket_are_counted(void **state)
{
	char c[2];

	(void)state;
	begin(TLS_BIO_KEEPS);
	assert_int_equal(write(peer, "xyz", 3), 3);
	b.reads = 2;
	assert_int_equal(BIO_read(bio, c, 1), 1);
	assert_int_equal(BIO_read(bio, c, 1), 1);
	assert_int_equal(BIO_read(bio, c, 1), -1);
	assert_true(BIO_should_read(bio));
	b.reads = 2;
	assert_int_equal(BIO_read(bio, c, 2), 1);
	assert_int_equal(c[0], 'z');
	end();
}

static void the_end_is_told(void **state)
{
	char c;

	(void)state;
	begin(TLS_BIO_GATHERS);
	assert_false(BIO_eof(bio));
	close(peer);
	b.reads = 2;
	assert_int_equal(BIO_read(bio, &c, 1), 0);
	assert_false(BIO_should_retry(bio));
	assert_true(BIO_eof(bio));
	b.state = TLS_BIO_KEEPS; /* OpenSSL is not told, so that it can still write */
	assert_int_equal(BIO_read(bio, &c, 1), -1);
	assert_true(BIO_should_read(bio));
	assert_true(b.ended);
	end();
}

static void what_is_last_goes_with_the_end(void **state)
{
	(void)state;
	begin(TLS_BIO_KEEPS);
	assert_int_equal(BIO_write(bio, "x", 1), 1);
	assert_int_equal(last_writes, 0);
	b.last = true;
	assert_int_equal(BIO_write(bio, "y", 1), 1);
	assert_int_equal(last_writes, 1);
	assert_int_equal(read(peer, received, sizeof received), 2);
	end();
}

static void after_a_refusal_nothing_goes_in_or_out(void **state)
{
	char c;

	(void)state;
	begin(TLS_BIO_REFUSES);
	assert_int_equal(write(peer, "x", 1), 1);
	b.reads = 1;
	assert_int_equal(BIO_read(bio, &c, 1), -1);
	assert_int_equal(errno, ECONNABORTED);
	assert_int_equal(BIO_write(bio, "x", 1), -1);
	assert_int_equal(errno, ECONNABORTED);
	assert_false(BIO_should_retry(bio));
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_flight_goes_out_as_one),
		cmocka_unit_test(a_flight_that_is_held_goes_with_the_next_write),
		cmocka_unit_test(a_flight_that_is_held_can_be_flushed),
		cmocka_unit_test(a_flight_that_is_held_is_kept_behind_a_full_socket),
		cmocka_unit_test(
			more_than_a_record_of_flight_with_a_full_socket_is_openssls_matter),
		cmocka_unit_test(a_record_is_taken_whole_and_arrives_whole),
		cmocka_unit_test(what_is_written_behind_it_stays_behind_it),
		cmocka_unit_test(a_peer_that_is_gone_is_an_error),
		cmocka_unit_test(reads_of_the_socket_are_counted),
		cmocka_unit_test(the_end_is_told),
		cmocka_unit_test(what_is_last_goes_with_the_end),
		cmocka_unit_test(after_a_refusal_nothing_goes_in_or_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
