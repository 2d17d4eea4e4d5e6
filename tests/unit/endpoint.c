/* SPDX-License-Identifier: ISC */
/* What stands in accept and connect: addresses pass, with brackets or without, and mistakes do not.
 */
#include "sys/endpoint.h"

#include "harness.h"

static const char *refused(const char *text, bool passive)
{
	char plain[ENDPOINT_MAX];

	return endpoint_check(text, passive, plain);
}

static const struct {
	const char *text, *plain; /* NULL: the same */
} good[] = {
	{"443", NULL},
	{"https", NULL},
	{"www-http", NULL},
	{"1", NULL},
	{"65535", NULL},
	{"127.0.0.1:80", NULL},
	{"127.1:80", NULL},
	{"localhost:http", NULL},
	{"host-1.example.com.:80", NULL},
	{"my_host:80", NULL},
	{"b\xc3\xbc"
	 "cher.example:80",
	 NULL},
	{"*:443", NULL},
	{"::1:443", NULL},
	{":::443", NULL},
	{"2001:db8::7:16000", NULL},
	{"::ffff:192.0.2.7:80", NULL},
	{"fe80::1%eth0:80", NULL},
	{"[::1]:443", "::1:443"},
	{"[::]:443", ":::443"},
	{"[fe80::1%eth0]:80", "fe80::1%eth0:80"},
	{"127.0.0.1: 80", "127.0.0.1:80"},
	{"127.0.0.1:\t 80", "127.0.0.1:80"},
	{"localhost: http", "localhost:http"},
	{"::1: 443", "::1:443"},
	{"[::1]: 443", "::1:443"},
	{"/run/app.sock", NULL},
	{"/run/with blank,comma", NULL},
};

static void test_addresses(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		const char *wanted = good[i].plain ? good[i].plain : good[i].text;
		char plain[ENDPOINT_MAX] = "?";

		assert_null(endpoint_check(good[i].text, false, plain));
		assert_string_equal(plain, wanted);
		assert_null(endpoint_check(good[i].text, true, plain));
		assert_string_equal(plain, wanted);
	}
}

static const struct {
	const char *text, *hint;
} bad[] = {
	{"http://127.0.0.1:80", "an URL"},
	{"https://example.com/", "an URL"},
	{"tcp://10.0.0.1:80", "an URL"},
	{"10.0.0.1:80,10.0.0.2:80", "one address a line"},
	{"10.0.0.1:80, 10.0.0.2:80", "one address a line"},
	{"10.0.0.1:80 10.0.0.2:80", "one address a line"},
	{"10.0.0.1 80", "one address a line"},
	{"10.0.0.1: 80 90", "one address a line"},
	{"10.0.0.1 :80", "before the colon"},
	{"10.0.0.1 : 80", "before the colon"},
	{"127.0.0.1: ", "no port"},
	{"127.0.0.1: ; web", "lines of their own"},
	{"443 ; web", "lines of their own"},
	{"443\t# web", "lines of their own"},
	{"443;web", "lines of their own"},
	{"443#web", "lines of their own"},
	{"/run/app.sock ; app", "lines of their own"},
	{"\"127.0.0.1:80\"", "without quotes"},
	{"'443'", "without quotes"},
	{"$BACKEND", "variable"},
	{"${HOST}:80", "variable"},
	{"{{ backend }}:80", "variable"},
	{"<host>:80", "variable"},
	{"@HOST@:80", "variable"},
	{"unix:/run/app.sock", "begins with /"},
	{"./app.sock", "begins with /"},
	{"run/app.sock", "begins with /"},
	{"127.0.0.1:80/app", "HOST:PORT"},
	{"443/tcp", "HOST:PORT"},
	{"example.com", "no port"},
	{"127.0.0.1", "no port"},
	{"127.0.0.1:", "no port"},
	{"::1", "no port"},
	{"2001:db8::7", "no port"},
	{"::443", "no port"},
	{"[::1]", "no port"},
	{"[::1]443", "no port"},
	{"[::1]:", "no port"},
	{"[::1", "brackets"},
	{"[localhost]:80", "brackets"},
	{"[127.0.0.1]:80", "brackets"},
	{"[]:80", "brackets"},
	{":443", "no host"},
	{"10.0.0.1:80:90", "one colon"},
	{"host:80:tcp", "one colon"},
	{"my!host:80", "no host name has"},
	{"*.example.com:80", "no host name has"},
	{"127.0.0.1:65536", "65535"},
	{"99999999999999999999999", "65535"},
};

static void test_mistakes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		for (int passive = 0; passive < 2; passive++) {
			const char *why = refused(bad[i].text, passive != 0);

			if (!why || !strstr(why, bad[i].hint))
				fail_msg("%s: %s, not \"%s\"", bad[i].text, why ? why : "taken",
					 bad[i].hint);
		}
	}
}

/* The system chooses a port to listen on; none can be connected. */
static void test_port_0(void **state)
{
	(void)state;
	assert_null(refused("0", true));
	assert_null(refused("127.0.0.1:0", true));
	assert_non_null(refused("0", false));
	assert_non_null(refused("127.0.0.1:000", false));
}

static void test_lengths(void **state)
{
	char text[400];

	(void)state;
	memset(text, 'h', sizeof text);
	memcpy(text + 255, ":80", 4);
	assert_null(refused(text, false));
	memcpy(text + 255, "h:80", 5);
	assert_non_null(refused(text, false));

	memset(text, 'p', sizeof text);
	text[0] = '/';
	text[107] = '\0';
	assert_null(refused(text, false));
	text[107] = 'p';
	text[108] = '\0';
	assert_non_null(refused(text, false));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_port_0),
		cmocka_unit_test(test_lengths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
