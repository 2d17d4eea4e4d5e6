/* SPDX-License-Identifier: ISC */

/*
 * Fuzzes the PROXY protocol both ways. The input: what to do, then bytes of a header, or of facts
 * to make one from. Found out: that the result depends on how the bytes arrive; that what was
 * encoded is decoded as something else; that a header is longer than it may be.
 */

#include "proxy.h"
#include "proxy_decode.h"
#include "proxy_encode.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "PROXY: %s\n", what);
	abort();
}

static bool same_address(const struct facts_addr *a, const struct facts_addr *b)
{
	size_t size = a->family == FACTS_IPV4 ? 4 : a->family == FACTS_IPV6 ? 16 : 0;

	return a->family == b->family && a->port == b->port && memcmp(a->ip, b->ip, size) == 0;
}

/* From a copy that ends where the span does, for the sanitizer to see. */
static int decode(struct span in, struct proxy_header *h)
{
	char *copy = malloc(in.len + 1);
	int rc;

	if (!copy)
		abort();
	memcpy(copy + 1, in.p, in.len);
	rc = proxy_decode(span_of(copy + 1, in.len), h);
	if (rc > 0 && h->tlvs.p)
		h->tlvs = span_of(in.p + (h->tlvs.p - copy - 1), h->tlvs.len);
	free(copy);
	return rc;
}

/* Byte by byte: nothing until it is whole or wrong, and then what it was at once. */
static void decode_pieces(struct span in)
{
	struct proxy_header whole, part;
	int rc = decode(in, &whole);
	size_t decided = 0;

	must(rc <= (int)in.len && rc <= PROXY_HEADER_MAX, "longer than what came");
	for (size_t n = 0; n <= in.len && decided == 0; n++) {
		int early = decode(span_of(in.p, n), &part);

		if (early == 0)
			continue;
		must(early == rc, "the pieces decide");
		must(early < 0 || (size_t)early == n, "decided too late");
		decided = n;
	}
	must((rc == 0) == (decided == 0), "never decided");
	must(rc != 0 || in.len < PROXY_HEADER_MAX, "no end of it");
	if (rc <= 0)
		return;
	must(whole.local || same_address(&whole.client, &part.client), "another client");
	must(whole.local || same_address(&whole.server, &part.server), "another server");
}

struct reader {
	struct span in;
};

static unsigned take(struct reader *r)
{
	unsigned n = r->in.len != 0 ? (unsigned char)r->in.p[0] : 0;

	if (r->in.len != 0)
		span_skip(&r->in, 1);
	return n;
}

static struct span take_span(struct reader *r)
{
	size_t n = take(r);
	struct span s = span_of(r->in.p, n < r->in.len ? n : r->in.len);

	span_skip(&r->in, s.len);
	return s;
}

static void take_address(struct reader *r, struct facts_addr *addr)
{
	*addr = (struct facts_addr){.family = (enum facts_family)(take(r) % 3)};
	for (size_t i = 0; i < (addr->family == FACTS_IPV4 ? 4 : 16); i++)
		addr->ip[i] = (uint8_t)take(r);
	addr->port = (uint16_t)(take(r) << 8 | take(r));
	if (addr->family == FACTS_IPV6)
		addr->ip[0] |= 0x20; /* not a mapped one: these are IPv4 in facts */
}

static void take_facts(struct reader *r, struct facts *facts, struct facts_cert *cert)
{
	take_address(r, &facts->client);
	take_address(r, &facts->server);
	facts->alpn = take_span(r);
	facts->sni = take_span(r);
	facts->tls_version = SPAN("TLSv1.3");
	facts->tls_cipher = take_span(r);
	facts->sig_alg = take_span(r);
	facts->key_alg = take_span(r);
	facts->group = take_span(r);
	facts->sig_scheme = take_span(r);
	facts->conn_id = take_span(r);
	facts->cert_in_session = take(r) & 1;
	facts->cert_on_connection = take(r) & 1;
	facts->verify_code = take(r);
	cert->cn = take_span(r);
	cert->der = take_span(r);
	facts->client_cert = take(r) & 1 ? cert : NULL;
}

/* The addresses as they must come out: of one family. */
static struct facts_addr expected(const struct facts_addr *addr, bool v6)
{
	struct facts_addr e = *addr;

	if (!v6 || addr->family != FACTS_IPV4)
		return e;
	e.family = FACTS_IPV6;
	memset(e.ip, 0, 10);
	memset(e.ip + 10, 0xff, 2);
	memcpy(e.ip + 12, addr->ip, 4);
	return e;
}

static void encode(struct reader r)
{
	static char buffer[PROXY_HEADER_MAX];
	struct out out = out_of(buffer, sizeof buffer);
	struct proxy p = {.version = 2};
	struct facts_cert cert = {0};
	struct facts facts = {0};
	struct facts_addr client, server;
	struct proxy_header h;
	uint32_t dropped;
	bool v6;

	p.max_length = (int)(52 + take(&r) * 16);
	p.tlvs = (take(&r) | take(&r) << 8) & ((1U << PROXY_TLV_COUNT) - 1);
	p.noop = (uint16_t)take(&r);
	p.keep_mapped = take(&r) & 1;
	take_facts(&r, &facts, &cert);
	must(proxy_encode(&p, &facts, &out, &dropped) && !out.full, "not encoded");
	must((dropped & ~p.tlvs) == 0, "dropped what was not asked for");
	must(proxy_decode(out_span(&out), &h) == (int)out.len, "not decoded");
	if (facts.client.family == FACTS_NONE || facts.server.family == FACTS_NONE) {
		must(h.local && out.len == 16, "not LOCAL");
		return;
	}
	v6 = facts.client.family == FACTS_IPV6 || facts.server.family == FACTS_IPV6;
	client = expected(&facts.client, v6);
	server = expected(&facts.server, v6);
	must(!h.local && same_address(&h.client, &client), "another client");
	must(same_address(&h.server, &server), "another server");
	must((int)out.len <= p.max_length ||
		     (p.tlvs & ~dropped & ~(1U << PROXY_CRC32C) & ~(1U << PROXY_SSL_VERSION)) == 0,
	     "too long");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of((const char *)data, size);

	if (size < 1)
		return 0;
	span_skip(&in, 1);
	if (data[0] & 1)
		encode((struct reader){in});
	else
		decode_pieces(in);
	return 0;
}
