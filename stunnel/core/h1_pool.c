/* SPDX-License-Identifier: ISC */
#include "h1_pool.h"

#include "h1_judge.h"
#include "h1_side.h"
#include "http.h"

/* --- who logs in by connections --------------------------------------------------------------- */

/* Schemes whose credentials hold for all that comes on a connection (RFC 4559 6). */
static const struct span schemes[] = {
	SPAN_INIT("NTLM"),
	SPAN_INIT("Negotiate"),
	SPAN_INIT("Nego2"),
	SPAN_INIT("Kerberos"),
};

/* Whether one stands anywhere among the words of a value: a list of challenges has no clear ends.
 */
static bool names_scheme(struct span value)
{
	while (value.len != 0) {
		size_t len = 0;

		while (len < value.len && http_is(value.p[len], HTTP_ALNUM))
			len++;
		for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
			if (http_equal(span_of(value.p, len), schemes[i]))
				return true;
		span_skip(&value, len < value.len ? len + 1 : len);
	}
	return false;
}

static bool logs_in(const struct h1_head *head)
{
	for (size_t i = 0; i < head->count; i++) {
		const struct h1_field *field = &head->field[i];

		if ((http_equal(field->name, SPAN("Authorization")) ||
		     http_equal(field->name, SPAN("Proxy-Authorization"))) &&
		    names_scheme(field->value))
			return true;
	}
	return false;
}

static bool challenges(const struct h1_answer *a)
{
	struct span fields = a->fields, name, value;

	while (h1_answer_next(&fields, &name, &value))
		if ((http_equal(name, SPAN("WWW-Authenticate")) ||
		     http_equal(name, SPAN("Proxy-Authenticate"))) &&
		    names_scheme(value))
			return true;
	return false;
}

/* --- what is unfit ---------------------------------------------------------------------------- */

/* Whether there is content that does not come: some servers send it all the same. */
static bool withholds(const struct h1 *h, const struct h1_answer *a)
{
	return (h1_answered_kind(h) & H1_KIND_HEAD) ||
	       (a->status == 304 && (a->is_coded || a->length != 0));
}

static bool is_interim(const struct h1_answer *a)
{
	return a->status == 100 || a->status == 102 || a->status == 103;
}

/*
 * Whether two readers could differ about where the answer begins or ends, or whether the backend
 * has read the request as it was meant.
 */
static bool is_unclear(const struct h1 *h, const struct h1_answer *a)
{
	unsigned request = h->side[H1_REQUEST].state;

	if (a->mended != 0 || a->anew || a->minor == 0)
		return true;
	if (a->status < 200)
		return !is_interim(a);
	if (request != H1_STATE_HEAD && request != H1_STATE_CLOSED) /* it came early */
		return true;
	if (a->status == 408) /* it is about an idle connection, and answers no request */
		return true;
	return withholds(h, a) || (a->is_coded && (a->codings != 1 || !a->is_chunked));
}

void h1_pool_request(struct h1 *h, const struct h1_head *head, unsigned kind)
{
	/* A server that refuses before it has asked for the content may take it for a request. */
	if ((kind & (H1_KIND_UPGRADE | H1_KIND_CONNECT | H1_KIND_LAST)) ||
	    h1_head_has(head, HTTP_EXPECT))
		h->unfit = true;
	h->tied |= logs_in(head);
}

void h1_pool_answer(struct h1 *h, const struct h1_answer *a)
{
	h->unfit |= is_unclear(h, a);
	h->tied |= challenges(a);
}

void h1_pool_done(struct h1 *h)
{
	if (h->unfit && !h->tied && !h->closing && h->error == ERR_NONE)
		h->renewing = true;
}
