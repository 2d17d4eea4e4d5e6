/* SPDX-License-Identifier: ISC */
#include "config/security.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "sys/endpoint.h"
#include "config/table.h"
#include "tls/ctx.h"
#include "tls/renewal.h"
#include "tls/staple.h"
#include "tls/trial.h"

static void check_verification(struct check *r, const struct tls_verify *v)
{
	const char *check = v->host.count    ? "checkHost"
			    : v->email.count ? "checkEmail"
			    : v->ip.count    ? "checkIP"
					     : NULL;
	bool verified = v->bits & (TLS_VERIFY_CHAIN | TLS_VERIFY_PEER);

	if (verified && !v->ca_file && !v->ca_path && !v->ca_store &&
	    !CHECK_REFUSED(r, "CAfile", "CApath", "CAengine", "CAstore"))
		check_refuse(r, "verify",
			     "Either \"CAengine\", \"CAfile\", \"CApath\" or \"CAstore\" has to be "
			     "configured");
	if (check && !verified && !CHECK_REFUSED(r, "verify"))
		check_refuse(r, check,
			     "Either \"verifyChain\" or \"verifyPeer\" has to be enabled");
}

/* Reports what tls_ctx_new() complains of. */
static void tell_tls(void *arg, enum tls_trouble trouble, const char *option, const char *why)
{
	static const enum report_kind kinds[] = {[TLS_TROUBLE_WARNING] = REPORT_WARNING,
						 [TLS_TROUBLE_NOBODY] = REPORT_FAULT,
						 [TLS_TROUBLE_ERROR] = REPORT_ERROR};
	struct check *r = arg;

	check_tell(r, kinds[trouble], option ? table_line(r->section, option) : NULL, "%s", why);
}

/* Reports what tls_trial() complains of. */
static void tell_trial(void *arg, bool nobody, const char *option, const char *why)
{
	struct check *r = arg;

	check_tell(r, nobody ? REPORT_FAULT : REPORT_WARNING,
		   option ? table_line(r->section, option) : NULL, "%s", why);
}

/*
 * Stock before 5.71 takes OCSP without verifyChain. Where nothing is verified at all it asks nobody
 * then, and so do we; with verifyPeer there would be no issuer to ask about.
 */
static void make_ocsp(struct check *r, struct config_section *s)
{
	struct tls_ocsp *ocsp = &s->tls.ocsp;
	const char *option = ocsp->url ? "OCSP" : "OCSPaia";
	int seconds = s->service.timeout.ocsp;

	if (!ocsp->url && !ocsp->aia)
		return;
	if (!(s->tls.verify.bits & (TLS_VERIFY_CHAIN | TLS_VERIFY_PEER)) &&
	    !CHECK_REFUSED(r, "verify")) {
		check_tell(r, REPORT_WARNING, table_line(s, option),
			   "It has no effect here: no certificate is verified without "
			   "\"verifyChain\"");
		ocsp->url = NULL;
		ocsp->aia = false;
		return;
	}
	s->service.asks = true;
	s->tls.verify.bits |= TLS_VERIFY_ASK | (s->ocsp_require ? TLS_VERIFY_ANSWER : 0);
	/* The certificate's responder is asked when the configured one has not answered. */
	s->service.ocsp_seconds =
		ocsp->url && ocsp->aia && seconds < INT_MAX / 2 ? 2 * seconds : seconds;
	if (!(s->tls.verify.bits & TLS_VERIFY_CHAIN) && !CHECK_REFUSED(r, "verify"))
		check_refuse(r, option, "\"verifyChain\" has to be enabled for OCSP support");
}

/*
 * The daemon is asked over UDP, where anybody can answer: it is no witness of who a client is. Such
 * sessions stay on this host.
 */
static void make_sessiond(struct check *r, struct config_section *s)
{
	const char *why =
		s->tls.client ? "It has no effect here: a server issues sessions"
		: s->tls.verify.bits & TLS_VERIFY_REQUEST || s->tls.psk_secrets
			? "It has no effect here: sessions that tell who a client is stay "
			  "on this host"
			: NULL;

	if (!s->sessiond)
		return;
	if (why)
		check_tell(r, REPORT_WARNING, table_line(s, "sessiond"), "%s", why);
	s->tls.sessiond = !why;
	s->service.asks |= !why;
}

/* Either secret alone would leave half of the key to chance. */
static void check_tickets(struct check *r, const struct tls_settings *tls)
{
	static const char *const names[] = {"ticketKeySecret", "ticketMacSecret"};
	bool mac_only = tls->ticket_key.len == 0;

	if (tls->client)
		for (size_t i = 0; i < 2; i++)
			if (table_line(r->section, names[i]))
				check_tell(r, REPORT_NOTE, table_line(r->section, names[i]),
					   "It has no effect here: a client makes no tickets");
	if (mac_only != (tls->ticket_mac.len == 0) && !CHECK_REFUSED(r, names[!mac_only]))
		check_refuse(r, names[mac_only],
			     "\"ticketKeySecret\" and \"ticketMacSecret\" must be set together");
}

/* A client that trusts whoever answers is warned of, in stock's words. */
static void check_trust(struct check *r, const struct config_section *s)
{
	const struct report_place place = {.order = r->last_line};
	const struct tls_verify *v = &s->tls.verify;
	const char *name = s->service.name;

	if (s->tls.psk_secrets)
		return;
	if (!(v->bits & (TLS_VERIFY_CHAIN | TLS_VERIFY_PEER))) {
		report_add(r->report, REPORT_WARNING, &place,
			   "Service [%.100s] needs authentication to prevent MITM attacks", name);
	} else if (!(v->bits & TLS_VERIFY_PEER) &&
		   v->host.count + v->email.count + v->ip.count == 0) {
		report_add(r->report, REPORT_WARNING, &place,
			   "Service [%.100s] uses \"verifyChain\" without subject checks", name);
		report_add(r->report, REPORT_WARNING, &place,
			   "Use \"checkHost\" or \"checkIP\" to restrict trusted certificates");
	}
}

/*
 * The name that a client asks for: that of `sni`, which may be empty, or of whom a proxy is to
 * connect, or of the first target.
 */
static const char *server_name(struct check *r, const struct config_section *s)
{
	const char *host = s->service.negotiation.host;
	char target[ENDPOINT_MAX], *port;

	if (s->sni)
		return *s->sni ? s->sni : NULL;
	if (host && *host) {
		snprintf(target, sizeof target, "%.*s", (int)strcspn(host, ":"), host);
		return arena_text(&r->config->arena, target);
	}
	if (s->connect_to.count == 0 || endpoint_check(s->connect_to.item[0], false, target))
		return NULL;
	port = strrchr(target, ':');
	if (*target == '/' || !port)
		return "localhost";
	*port = '\0';
	return arena_text(&r->config->arena, target);
}

static void make_client(struct check *r, struct config_section *s)
{
	struct tls_settings *tls = &s->tls;

	tls->server_name = server_name(r, s);
	if (tls->server_name && strlen(tls->server_name) > FACTS_NAME_MAX) {
		check_refuse(r, s->sni ? "sni" : "connect", "A server name has %d bytes at most",
			     FACTS_NAME_MAX);
		tls->server_name = NULL;
	}
	check_trust(r, s);
}

/*
 * Renegotiation could change certificate, cipher and version after a backend was told of them; the
 * server name and the protocol that leads to a target count only in a connection's first handshake.
 */
static bool may_renegotiate(const struct config_section *s)
{
	const struct conn_service *service = &s->service;

	return s->renegotiation && !service->needs.http && !service->needs.tlvs &&
	       service->alpn_count == 0 && (service->client || s->tls.verify.bits == 0);
}

/* Called before the files are read, so that no change of them is overlooked. */
static void make_renewal(struct check *r, struct config_section *s)
{
	const struct tls_settings *tls = &s->tls;
	bool in_background = r->config->globals.foreground == CONFIG_BACKGROUND, whole = true;
	const char *why;

	if (s->renewal.seconds == 0 || tls->cert.count == 0) {
		s->renewal.seconds = 0;
		return;
	}
	for (size_t i = 0; i < tls->cert.count; i++)
		whole &= tls->cert.item[i][0] == '/';
	for (size_t i = 0; i < tls->key.count; i++)
		whole &= tls->key.item[i][0] == '/';
	whole &= !tls_staple_file(tls) || tls_staple_file(tls)[0] == '/';
	why = tls_renewal_obstacle(tls);
	if (why)
		check_refuse(r, "certReload",
			     "'cert', 'key' and 'OCSPstaple' have to be files that can be read "
			     "again: %s",
			     why);
	else if (in_background && !whole)
		check_refuse(r, "certReload",
			     "'cert', 'key' and 'OCSPstaple' must include full path names");
	s->renewal.staple = s->renewal.staple_seen = tls_renewal_staple_mark(tls);
	s->renewal.known = s->renewal.seen = tls_renewal_mark(tls);
}

/* A handshake takes milliseconds, which is too much for each of ten thousand names. */
static void try_clients(struct check *r, struct config_section *s)
{
	struct tls_trial_passed *tried = &r->config->tried;
	struct tls_trial_kind kind, *grown;
	bool known = tls_trial_kind(s->service.tls, &s->tls, &kind);

	if (known && tls_trial_has_passed(tried, &kind))
		return;
	if (!tls_trial(s->service.tls, &s->tls, tell_trial, r) || !known)
		return;
	grown = arena_grow(&r->config->arena, tried->kind, tried->count, sizeof kind);
	if (!grown)
		return;
	tried->kind = grown;
	grown[tried->count++] = kind;
}

void security_make(struct check *r)
{
	struct config_section *s = r->section;
	struct tls_settings *tls = &s->tls;

	tls->client = s->service.client;
	if (tls->client)
		make_client(r, s);
	tls->renegotiates = may_renegotiate(s);
	tls->curves_option = table_written(s, "curves");
	tls->cert_texts = s->service.needs.cert_texts;
	tls->ca_folder = config_outside(r->config, tls->verify.ca_path);
	tls->crl_folder = config_outside(r->config, tls->verify.crl_path);
	if (!tls->client && tls->cert.count == 0 && !tls->psk_secrets &&
	    !CHECK_REFUSED(r, "cert", "PSKsecrets", "engine", "client"))
		check_refuse(r, NULL, "TLS server needs a certificate: 'cert' is missing");
	if (CHECK_REFUSED(r, "key"))
		tls->cert = (struct tls_names){
			0}; /* without its key, loading it would only report more */
	check_verification(r, &tls->verify);
	check_tickets(r, tls);
	make_ocsp(r, s);
	make_sessiond(r, s);
	make_renewal(r, s);
	s->service.tls = tls_ctx_new(tls, &(struct tls_fault_to){tell_tls, r});
	if (s->service.tls && !tls->client)
		try_clients(r, s);
}
