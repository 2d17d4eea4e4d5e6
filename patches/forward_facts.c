/* SPDX-License-Identifier: ISC */
#include "forward_connection.h"
#include "forward_stock.h"
#include "proxy_encode.h"

#include <openssl/rand.h>

static void address(struct facts_addr *to, const SOCKADDR_UNION *from)
{
	memset(to, 0, sizeof *to);
	if (from->sa.sa_family == AF_INET) {
		to->family = FACTS_IPV4;
		memcpy(to->ip, &from->in.sin_addr, 4);
		to->port = ntohs(from->in.sin_port);
	}
#if STOCK_IPV6
	if (from->sa.sa_family == AF_INET6) {
		to->family = FACTS_IPV6;
		memcpy(to->ip, &from->in6.sin6_addr, 16);
		to->port = ntohs(from->in6.sin6_port);
	}
#endif
	ip_facts(to);
}

static void addresses(CLI *c, struct facts *facts)
{
	SOCKADDR_UNION addr;
	socklen_t len = sizeof addr;

	if (c->local_rfd.is_socket) {
		address(&facts->client, &c->peer_addr);
		if (!getsockname(c->local_rfd.fd, &addr.sa, &len))
			address(&facts->server, &addr);
	}
	facts->peer = facts->client;
}

/*
 * Whether a resumed session was made under the same server name, and so for the same section. In
 * TLS 1.3 OpenSSL resumes before the name leads to a section, whose certificate check a session of
 * another section would evade. Up to TLS 1.2 the name is taken from the session.
 */
static bool was_made_here(SSL *ssl)
{
	const char *now = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name), *then;

	if (!SSL_session_reused(ssl) || SSL_version(ssl) != TLS1_3_VERSION)
		return true;
	then = SSL_SESSION_get0_hostname(SSL_get_session(ssl));
	return then && now ? !strcmp(then, now) : then == now;
}

/* Copies the names, since OpenSSL's own do not outlive a renegotiation. */
static void keep_names(struct forward *f, const char *sni)
{
	struct span name = tls_facts_server_name(sni), alpn = f->facts.alpn;

	if (name.len != 0)
		memcpy(f->sni, name.p, name.len);
	f->facts.sni = span_of(f->sni, name.len);
	if (alpn.len != 0)
		memcpy(f->alpn, alpn.p, alpn.len);
	f->facts.alpn = span_of(f->alpn, alpn.len);
}

struct forward *forward_new(CLI *c)
{
	struct forward *f = c->forward;

	if (f)
		return f;
	f = str_alloc(sizeof *f);
	memset(f, 0, sizeof *f);
	f->silent = INVALID_SOCKET;
	c->forward = f;
	addresses(c, &f->facts);
	return f;
}

struct forward *forward_prepare(CLI *c)
{
	const struct forward_options *o = c->opt->forward;
	struct forward *f = forward_new(c);
	uint64_t process = 0; /* random, as the numbers of connections begin anew in each process */
	char why[TLS_WHY_MAX];

	if (f->stage != FORWARD_NEW)
		return f;
	f->stage = FORWARD_KNOWN;
	f->facts.client_trusted = ip_blocks_hold(&o->service.trusted, &f->facts.client);
	f->facts.trace_begins = rewrite_begins_trace(&o->service.rewrite, &f->facts);
	RAND_bytes((unsigned char *)&process, sizeof process);
	facts_identify(&f->facts, f->id, process, stock_serial(c));
	if (o->needs.tlvs)
		tls_facts_own(c->ssl, &f->facts, &f->kept);
	if (stock_asks_for_certificates(c->opt) && !was_made_here(c->ssl)) {
		s_log(LOG_ERR, "The TLS session was made under another server name");
		forward_abort(c);
	}
	if (!tls_facts(c->ssl, stock_judging(c->opt), o->needs.cert_texts, &f->facts, &f->kept,
		       why)) {
		s_log(LOG_ERR, "%s", why);
		forward_abort(c);
	}
	keep_names(f, SSL_get_servername(c->ssl, TLSEXT_NAMETYPE_host_name));
	return f;
}

/* --- PROXY headers ---------------------------------------------------------------------------- */

/* True for acceptProxy alone, too: stock's header would name the peer, not the client. */
int forward_has_proxy(const SERVICE_OPTIONS *section)
{
	const struct forward_options *o = section->forward;

	return o && (o->service.proxy.version != 0 || o->service.accept_proxy != SERVICE_PROXY_NO);
}

void forward_proxy(CLI *c)
{
	const struct proxy *proxy = &c->opt->forward->service.proxy;
	char bytes[PROXY_HEADER_MAX];
	struct out out = out_of(bytes, sizeof bytes);
	uint32_t dropped;

	if (!proxy_encode(proxy, &forward_prepare(c)->facts, &out, &dropped)) {
		s_log(LOG_ERR, "The client has no IP address for the PROXY header");
		forward_abort(c);
	}
	if (dropped != 0)
		s_log(LOG_WARNING,
		      "Service [%s]: TLVs were left out of a PROXY header of %d bytes at most",
		      c->opt->servname, proxy->max_length);
	stock_write(c, c->remote_fd.fd, out.p, out.len);
}

int forward_sends_proxy(const SERVICE_OPTIONS *section)
{
	return forward_has_proxy(section) && stock_protocol_is(section, "proxy");
}

void forward_proxy_last(CLI *c, const SERVICE_OPTIONS *accepted)
{
	if (stock_has_protocol(accepted) && !forward_sends_proxy(accepted))
		return; /* stock has spoken the accepting section's own protocol already */
	if (forward_sends_proxy(c->opt)) {
		forward_proxy(c);
	} else if (stock_has_protocol(c->opt)) {
		/* Its protocol was not spoken: a client could send a PROXY header of its own. */
		s_log(LOG_ERR, "Service [%s]: its protocol cannot follow on that of [%s]",
		      c->opt->servname, accepted->servname);
		forward_abort(c);
	}
}
