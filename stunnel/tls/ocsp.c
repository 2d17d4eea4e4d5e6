/* SPDX-License-Identifier: ISC */
#include "tls/ocsp.h"

#include <openssl/err.h>
#include <openssl/http.h>
#include <openssl/ocsp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define LEEWAY 60	 /* seconds by which clocks may differ */
#define KEEP_MAX 300	 /* seconds; a revocation is known to all after that */
#define KEEP_FAILURE 5	 /* seconds until a responder that failed is asked again */
#define ANSWER_MAX 65536 /* bytes */

bool tls_ocsp_flag(const char *name, unsigned *bit)
{
	static const struct {
		const char *name;
		unsigned bit;
	} flags[] = {
		{"NOCERTS", OCSP_NOCERTS},	 {"NOINTERN", OCSP_NOINTERN},
		{"NOSIGS", OCSP_NOSIGS},	 {"NOCHAIN", OCSP_NOCHAIN},
		{"NOVERIFY", OCSP_NOVERIFY},	 {"NOEXPLICIT", OCSP_NOEXPLICIT},
		{"NOCASIGN", OCSP_NOCASIGN},	 {"NODELEGATED", OCSP_NODELEGATED},
		{"NOCHECKS", OCSP_NOCHECKS},	 {"TRUSTOTHER", OCSP_TRUSTOTHER},
		{"RESPID_KEY", OCSP_RESPID_KEY}, {"NOTIME", OCSP_NOTIME},
	};

	for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
		if (!strcasecmp(name, flags[i].name)) {
			*bit = flags[i].bit;
			return true;
		}
	return false;
}

/* --- where a responder is --------------------------------------------------------------------- */

struct place {
	char *host, *port, *path;
};

static void forget_place(struct place *p)
{
	OPENSSL_free(p->host);
	OPENSSL_free(p->port);
	OPENSSL_free(p->path);
	*p = (struct place){0};
}

static bool find_place(const char *url, struct place *p)
{
	int tls = 0;

	*p = (struct place){0};
	if (strncasecmp(url, "http://", 7) != 0 ||
	    OSSL_HTTP_parse_url(url, &tls, NULL, &p->host, &p->port, NULL, &p->path, NULL, NULL) !=
		    1 ||
	    tls || !*p->host) {
		forget_place(p);
		ERR_clear_error();
		return false;
	}
	return true;
}

bool tls_ocsp_is_url(const char *url)
{
	struct place place;
	bool ok = find_place(url, &place);

	forget_place(&place);
	return ok;
}

bool tls_ocsp_is_named(X509 *cert)
{
	STACK_OF(OPENSSL_STRING) *urls = X509_get1_ocsp(cert);
	bool named = sk_OPENSSL_STRING_num(urls) > 0;

	X509_email_free(urls);
	return named;
}

/* --- questions -------------------------------------------------------------------------------- */

size_t tls_ocsp_question(const STACK_OF(X509) * chain,
			 unsigned char question[static TLS_OCSP_QUESTION_MAX])
{
	unsigned char *end = question;

	for (int i = 0; i < sk_X509_num(chain); i++) {
		int len = i2d_X509(sk_X509_value(chain, i), NULL);

		/* Half a chain would pass for a whole one. */
		if (len <= 0 || len > question + TLS_OCSP_QUESTION_MAX - end)
			return 0;
		i2d_X509(sk_X509_value(chain, i), &end);
	}
	return (size_t)(end - question);
}

/* NULL without memory: half a chain would pass for a whole one here as well. */
static STACK_OF(X509) * unpack(const unsigned char *question, size_t len)
{
	const unsigned char *at = question;
	STACK_OF(X509) *chain = sk_X509_new_null();

	while (chain && at < question + len) {
		X509 *cert = d2i_X509(NULL, &at, question + len - at);

		if (!cert || sk_X509_push(chain, cert) == 0) {
			X509_free(cert);
			sk_X509_pop_free(chain, X509_free);
			return NULL;
		}
	}
	return chain;
}

/* --- asking one responder --------------------------------------------------------------------- */

/* What all responders are asked, and by what their answers are judged. */
struct inquiry {
	X509_STORE *store; /* whom to trust */
	const struct tls_ocsp *ocsp;
	STACK_OF(X509) * chain; /* leaf, issuer, ... */
	int depth;		/* in it, of the certificate that is asked about */
	OCSP_REQUEST *request;
	OCSP_CERTID *id; /* the request's */
	int seconds;	 /* to wait for one responder; 0: for ever */
	time_t until;	 /* when all of them are given up; 0: never */
	struct tls_ocsp_answer *answer;
	struct tls_ocsp_der *der; /* gets a good answer; NULL: nobody wants it */
};

static void say_why(struct inquiry *q, const char *what)
{
	unsigned long error = ERR_peek_last_error();
	const char *reason = error ? ERR_reason_error_string(error) : NULL;

	q->answer->verdict = TLS_OCSP_INCONCLUSIVE;
	snprintf(q->answer->why, sizeof q->answer->why, "%s%s%s", what, reason ? ": " : "",
		 reason ? reason : "");
	ERR_clear_error();
}

static bool make_request(struct inquiry *q)
{
	OCSP_CERTID *id;

	if (sk_X509_num(q->chain) < q->depth + 2)
		return false;
	id = OCSP_cert_to_id(NULL, sk_X509_value(q->chain, q->depth),
			     sk_X509_value(q->chain, q->depth + 1));
	q->request = OCSP_REQUEST_new();
	if (!id || !q->request || !OCSP_request_add0_id(q->request, id)) {
		OCSP_CERTID_free(id);
		return false;
	}
	q->id = id;
	return !q->ocsp->nonce || OCSP_request_add1_nonce(q->request, NULL, -1) == 1;
}

/* A connection to the responder, or NULL. OpenSSL's own would try a port that refuses, again and
 * again. */
static BIO *dial(const struct place *place, time_t deadline)
{
	BIO *bio = BIO_new_connect(place->host);

	if (!bio || BIO_set_conn_port(bio, place->port) != 1 || BIO_set_nbio(bio, 1) != 1) {
		BIO_free(bio);
		return NULL;
	}
	while (BIO_do_connect(bio) != 1) {
		if (BIO_should_retry(bio) && BIO_wait(bio, deadline, 0) == 1)
			continue;
		BIO_free(bio);
		return NULL;
	}
	return bio;
}

/* POSTs the request; the body of the answer, or NULL. */
static BIO *post(struct inquiry *q, const struct place *place, int seconds, BIO *connection,
		 BIO *body)
{
	STACK_OF(CONF_VALUE) *headers = NULL;
	BIO *got = NULL;

	if (ASN1_item_i2d_bio(ASN1_ITEM_rptr(OCSP_REQUEST), body, q->request) == 1 &&
	    X509V3_add_value("Host", place->host, &headers) == 1 &&
	    X509V3_add_value("User-Agent", "stunnel", &headers) == 1)
		got = OSSL_HTTP_transfer(NULL, place->host, place->port, place->path, 0, NULL, NULL,
					 connection, NULL, NULL, NULL, 0, headers,
					 "application/ocsp-request", body,
					 "application/ocsp-response", 1, ANSWER_MAX, seconds, 0);
	sk_CONF_VALUE_pop_free(headers, X509V3_conf_free);
	return got;
}

/* Seconds to wait for the next responder: 0 for ever, negative if there is no time for any. */
static int seconds_left(const struct inquiry *q)
{
	time_t left = q->until - time(NULL);

	if (q->until == 0)
		return q->seconds;
	if (left <= 0)
		return -1;
	return q->seconds != 0 && q->seconds < left ? q->seconds : (int)left;
}

/* The answer, decoded; NULL without one. Blocks, for twice that many seconds at most. */
static OCSP_RESPONSE *fetch(struct inquiry *q, const struct place *place, int seconds)
{
	BIO *connection = dial(place, seconds != 0 ? time(NULL) + seconds : 0);
	BIO *body = BIO_new(BIO_s_mem());
	BIO *got = connection && body ? post(q, place, seconds, connection, body) : NULL;
	OCSP_RESPONSE *response = got ? d2i_OCSP_RESPONSE_bio(got, NULL) : NULL;

	BIO_free(got);
	BIO_free(body);
	BIO_free(connection);
	return response;
}

/* Seconds until then; 0 if that is over, or NULL. */
static int64_t seconds_until(const ASN1_GENERALIZEDTIME *until)
{
	int days, seconds;

	if (!until || ASN1_TIME_diff(&days, &seconds, NULL, until) != 1 || days < 0 || seconds < 0)
		return 0;
	return (int64_t)days * 86400 + seconds;
}

/* Judges what a trusted responder says of the certificate. */
static void judge_status(struct inquiry *q, OCSP_BASICRESP *basic)
{
	ASN1_GENERALIZEDTIME *revoked, *from, *until;
	int status, reason;

	if (OCSP_resp_find_status(basic, q->id, &status, &reason, &revoked, &from, &until) != 1) {
		say_why(q, "the answer is about another certificate");
		return;
	}
	if (OCSP_check_validity(from, until, LEEWAY, -1) != 1) {
		say_why(q, "the answer is not valid now");
		return;
	}
	if (status == V_OCSP_CERTSTATUS_UNKNOWN) {
		say_why(q, "the responder does not know the certificate");
		return;
	}
	q->answer->verdict = status == V_OCSP_CERTSTATUS_GOOD ? TLS_OCSP_GOOD : TLS_OCSP_REVOKED;
	q->answer->valid = seconds_until(until);
	q->answer->seconds = q->answer->valid < KEEP_MAX ? q->answer->valid : KEEP_MAX;
}

static void judge_response(struct inquiry *q, OCSP_RESPONSE *response)
{
	int status = OCSP_response_status(response);
	STACK_OF(X509) *issuers = sk_X509_dup(q->chain);
	OCSP_BASICRESP *basic = NULL;

	/* With OCSPflag = TRUSTOTHER whatever stands in this list is trusted: not so the peer,
	 * nor an intermediate as a witness of itself. */
	for (int i = 0; i <= q->depth; i++)
		sk_X509_shift(issuers);
	if (status != OCSP_RESPONSE_STATUS_SUCCESSFUL)
		say_why(q, OCSP_response_status_str(status));
	else if (!(basic = OCSP_response_get1_basic(response)))
		say_why(q, "the answer is of an unknown kind");
	else if (q->ocsp->nonce && OCSP_check_nonce(q->request, basic) <= 0)
		say_why(q, "the answer has another nonce");
	else if (OCSP_basic_verify(basic, issuers, q->store, q->ocsp->flags) != 1)
		say_why(q, "the answer is not signed by whom we trust");
	else
		judge_status(q, basic);
	sk_X509_free(issuers);
	OCSP_BASICRESP_free(basic);
}

static void ask_one(struct inquiry *q, const char *url)
{
	int seconds = seconds_left(q);
	struct place place;
	OCSP_RESPONSE *response;

	if (seconds < 0) {
		say_why(q, "TIMEOUTocsp exceeded");
		return;
	}
	if (!find_place(url, &place)) {
		say_why(q, "the responder's URL is not of http");
		return;
	}
	response = fetch(q, &place, seconds);
	if (response)
		judge_response(q, response);
	else
		say_why(q, "the responder does not answer");
	if (q->der && q->answer->verdict == TLS_OCSP_GOOD)
		q->der->len = (size_t)i2d_OCSP_RESPONSE(response, &q->der->p);
	OCSP_RESPONSE_free(response);
	forget_place(&place);
}

/* --- asking all of them ----------------------------------------------------------------------- */

/* About one certificate. */
static void ask_all(struct inquiry *q)
{
	STACK_OF(OPENSSL_STRING) *urls =
		q->ocsp->aia ? X509_get1_ocsp(sk_X509_value(q->chain, q->depth)) : NULL;

	snprintf(q->answer->why, sizeof q->answer->why, "no responder is named");
	if (q->ocsp->url && q->depth == 0)
		ask_one(q, q->ocsp->url);
	for (int i = 0; i < sk_OPENSSL_STRING_num(urls); i++)
		if (q->answer->verdict == TLS_OCSP_INCONCLUSIVE)
			ask_one(q, sk_OPENSSL_STRING_value(urls, i));
	X509_email_free(urls);
}

/* The caller's thread, one of libuv's, ends when OpenSSL has already gone. */
static void forget_thread(void)
{
	OPENSSL_thread_stop();
}

/* --- for others than the peer's --------------------------------------------------------------- */

/* Who has issued our certificate, or whom that one has appointed, is trusted. */
static bool trust_issuer(struct inquiry *q)
{
	q->store = X509_STORE_new();
	return q->store && X509_STORE_set_flags(q->store, X509_V_FLAG_PARTIAL_CHAIN) == 1 &&
	       X509_STORE_add_cert(q->store, sk_X509_value(q->chain, 1)) == 1 && make_request(q);
}

static const struct tls_ocsp by_certificate = {.aia = true};

void tls_ocsp_fetch(STACK_OF(X509) * chain, int seconds, struct tls_ocsp_answer *answer,
		    struct tls_ocsp_der *der)
{
	struct inquiry q = {
		.ocsp = &by_certificate,
		.chain = chain,
		.seconds = seconds,
		.answer = answer,
		.der = der,
	};

	*answer = (struct tls_ocsp_answer){0};
	ERR_clear_error();
	if (trust_issuer(&q))
		ask_all(&q);
	else
		say_why(&q, "the question could not be made");
	OCSP_REQUEST_free(q.request);
	X509_STORE_free(q.store);
	forget_thread();
}

static OCSP_RESPONSE *decode(const struct tls_ocsp_der *der)
{
	const unsigned char *at = der->p;
	OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &at, (long)der->len);

	ERR_clear_error();
	return response;
}

bool tls_ocsp_is_response(const struct tls_ocsp_der *der)
{
	OCSP_RESPONSE *response = decode(der);

	OCSP_RESPONSE_free(response);
	return response != NULL;
}

void tls_ocsp_read(STACK_OF(X509) * chain, const struct tls_ocsp_der *der,
		   struct tls_ocsp_answer *answer)
{
	struct inquiry q = {.ocsp = &by_certificate, .chain = chain, .answer = answer};
	OCSP_RESPONSE *response = decode(der);

	*answer = (struct tls_ocsp_answer){0};
	if (response && trust_issuer(&q))
		judge_response(&q, response);
	else
		say_why(&q, "it cannot be read");
	OCSP_REQUEST_free(q.request);
	X509_STORE_free(q.store);
	OCSP_RESPONSE_free(response);
}

/* --- the peer's ------------------------------------------------------------------------------- */

static void ask_about(struct inquiry *q)
{
	*q->answer = (struct tls_ocsp_answer){.depth = q->depth, .seconds = KEEP_FAILURE};
	ERR_clear_error();
	if (make_request(q))
		ask_all(q);
	else
		say_why(q, "the certificate's issuer is not known");
	OCSP_REQUEST_free(q->request);
	q->request = NULL;
}

/* A chain is as good as the worst of it, for the shortest time. */
static void add_answer(struct tls_ocsp_answer *chain, const struct tls_ocsp_answer *one)
{
	int64_t seconds = one->seconds < chain->seconds ? one->seconds : chain->seconds;
	int64_t valid = one->valid < chain->valid ? one->valid : chain->valid;

	if (one->verdict == TLS_OCSP_REVOKED || chain->verdict == TLS_OCSP_GOOD)
		*chain = *one;
	chain->seconds = seconds;
	chain->valid = valid;
}

/* The leaf comes first: whoever is slow above it cannot hide that it was revoked. */
static void ask_about_chain(struct inquiry *q, struct tls_ocsp_answer *answer)
{
	struct tls_ocsp_answer one;

	ask_about(q);
	q->answer = &one;
	for (q->depth = 1; q->ocsp->aia && q->depth < sk_X509_num(q->chain) - 1; q->depth++) {
		if (answer->verdict == TLS_OCSP_REVOKED)
			return;
		if (!tls_ocsp_is_named(sk_X509_value(q->chain, q->depth)))
			continue;
		ask_about(q);
		add_answer(answer, &one);
	}
}

void tls_ocsp_ask(const SSL_CTX *ctx, const struct tls_ocsp *ocsp, const unsigned char *question,
		  size_t len, const struct tls_ocsp_patience *patience,
		  struct tls_ocsp_answer *answer)
{
	struct inquiry q = {
		.store = SSL_CTX_get_cert_store(ctx),
		.ocsp = ocsp,
		.chain = unpack(question, len),
		.seconds = patience->each,
		.until = patience->all != 0 ? time(NULL) + patience->all : 0,
		.answer = answer,
	};

	ask_about_chain(&q, answer);
	sk_X509_pop_free(q.chain, X509_free);
	forget_thread();
}
