/* SPDX-License-Identifier: ISC */
#include "h1.h"

#include <assert.h>

#include "h1_answer.h"
#include "h1_judge.h"
#include "h1_requests.h"
#include "h1_responses.h"
#include "h1_side.h"

void h1_init(struct h1 *h, const struct rewrite *rewrite, const struct facts *facts,
	     struct h1_limits limits)
{
	assert(limits.max_fields <= H1_FIELDS_MAX);
	assert(limits.in_flight >= 1 && limits.in_flight <= H1_PIPELINE_MAX);
	assert(!limits.pool || limits.keep_client);
	*h = (struct h1){.rewrite = rewrite, .facts = facts, .limits = limits};
}

size_t h1_insertion(const struct rewrite *rewrite, struct h1_limits limits)
{
	/* Lines that end in LF alone, and the empty one, gain a CR: so does the request line. */
	size_t ends = limits.allow & H1_ALLOW_BARE_LF ? limits.max_fields + 2 : 0;

	return rewrite_insertion(rewrite) + ends;
}

size_t h1_out_min(const struct rewrite *rewrite, struct h1_limits limits)
{
	size_t request = limits.max_head + h1_insertion(rewrite, limits);
	size_t response = limits.max_answer_head + H1_ANSWER_INSERTION;

	return request > response ? request : response;
}

/* An error of the backend's comes before one of a request, which waits for its turn. */
static int feed_responses(struct h1 *h, struct span *in, struct out *out)
{
	int rc = 0;

	if (h1_answer_failed(h))
		return -(int)h->error;
	do
		rc = h1_responses_step(h, in, out);
	while (rc == H1_MOVED);
	if (rc < 0)
		h->error = (enum error) - rc;
	return rc;
}

int h1_feed(struct h1 *h, enum h1_dir dir, struct span *in, struct out *out)
{
	int rc;

	if (dir == H1_RESPONSE)
		return feed_responses(h, in, out);
	if (h->error != ERR_NONE)
		return -(int)h->error;
	do
		rc = h1_requests_step(h, in, out);
	while (rc == H1_MOVED);
	if (rc < 0)
		h1_fail(h, (enum error) - rc);
	return rc;
}

size_t h1_bypass(const struct h1 *h, enum h1_dir dir)
{
	const struct h1_side *s = &h->side[dir];

	if (dir == H1_REQUEST ? h->error != ERR_NONE : h1_answer_failed(h))
		return 0;
	if (s->state == H1_STATE_TUNNEL)
		return SIZE_MAX;
	return s->state == H1_STATE_BODY ? h1_body_bypass(&s->body) : 0;
}

void h1_bypassed(struct h1 *h, enum h1_dir dir, size_t n)
{
	struct h1_side *s = &h->side[dir];

	if (dir == H1_RESPONSE)
		h->response_bytes += n;
	if (s->state != H1_STATE_BODY)
		return;
	h1_body_bypassed(&s->body, n);
	if (s->body.state != H1_BODY_COMPLETE)
		return;
	if (dir == H1_REQUEST)
		h1_requests_done(h);
	else
		h1_responses_done(h);
}

enum h1_phase h1_phase(const struct h1 *h, enum h1_dir dir)
{
	const struct h1_side *s = &h->side[dir];

	switch ((enum h1_state)s->state) {
	case H1_STATE_HEAD:
		return s->partial ? H1_HEAD : H1_IDLE;
	case H1_STATE_BODY:
		return s->body.state == H1_BODY_UNTIL_CLOSE ? H1_UNTIL_CLOSE : H1_BODY;
	case H1_STATE_TRAILERS:
		return H1_BODY;
	case H1_STATE_HELD:
		return H1_IDLE;
	case H1_STATE_TUNNEL:
		return H1_TUNNEL;
	case H1_STATE_CLOSED:
		break;
	}
	return H1_CLOSED;
}

bool h1_blocked(const struct h1 *h)
{
	return h1_requests_blocked(h);
}

unsigned h1_in_flight(const struct h1 *h)
{
	return h->queue_count;
}

enum h1_end h1_backend_end(const struct h1 *h)
{
	const struct h1_side *s = &h->side[H1_RESPONSE];

	if (h->error != ERR_NONE || s->state != H1_STATE_HEAD)
		return H1_END_CLOSE;
	if (h->queue_count == 0)
		return h1_responses_client_stays(h) ? H1_END_RENEW : H1_END_CLOSE;
	if (s->partial || h->begun ||
	    (!h->pooled && h->requests - h->before_renewal == h->queue_count))
		return H1_END_UNANSWERED;
	return H1_END_STALE;
}

bool h1_over(const struct h1 *h)
{
	return h->side[H1_RESPONSE].state == H1_STATE_CLOSED && h1_phase(h, H1_REQUEST) != H1_BODY;
}

enum error h1_take_mended(struct h1 *h)
{
	for (int e = ERR_MENDED_FIRST; h->mended != 0 && e < ERR_COUNT; e++) {
		uint32_t bit = h1_answer_mended((enum error)e);

		if (h->mended & bit) {
			h->mended &= ~bit;
			return (enum error)e;
		}
	}
	return ERR_NONE;
}

bool h1_backend_done(const struct h1 *h)
{
	return h->renewing && h1_backend_end(h) == H1_END_RENEW;
}

void h1_unfit(struct h1 *h)
{
	h->unfit = true;
}

bool h1_spare(const struct h1 *h)
{
	const struct h1_side *s = &h->side[H1_RESPONSE];

	return h->limits.pool && !h->tied && !h->unfit && !h->renewing && !h->finishing &&
	       h->requests != h->before_renewal && !s->partial && s->empty_lines == 0 &&
	       h1_backend_end(h) == H1_END_RENEW;
}

/* Whether a client that loses its request over such a connection gets an answer all the same. */
static bool may_be_lost(const struct h1 *h)
{
	return h->requests > 1 ||
	       (h->limits.pool_first && (h1_answered_kind(h) & H1_KIND_REPEATABLE));
}

bool h1_may_reuse(const struct h1 *h)
{
	return h->limits.pool && !h->tied && !h->unfit && !h->repeating && h->error == ERR_NONE &&
	       h->queue_count == 1 && may_be_lost(h);
}

void h1_reuse(struct h1 *h)
{
	h->pooled = true;
}

bool h1_repeatable(const struct h1 *h)
{
	return h->limits.keep_client && h->queue_count == 1 &&
	       (h1_answered_kind(h) & H1_KIND_REPEATABLE) &&
	       (h->requests - h->before_renewal > 1 || h1_may_reuse(h));
}

void h1_renew(struct h1 *h)
{
	h->side[H1_RESPONSE] = (struct h1_side){0};
	h->renewing = false;
	h->before_renewal = h->requests - h->queue_count;
	h->pooled = h->unfit = false;
	h->repeating = h->queue_count != 0;
}

bool h1_cut(const struct h1 *h, enum h1_dir dir, bool failed)
{
	enum h1_phase phase = h1_phase(h, dir);

	if (phase == H1_BODY)
		return true;
	return dir == H1_RESPONSE && (phase == H1_HEAD || (phase == H1_UNTIL_CLOSE && failed));
}

bool h1_passes_end(const struct h1 *h)
{
	const struct h1_side *s = &h->side[H1_RESPONSE];

	if (h->queue_count != 1)
		return h->queue_count == 0;
	return s->state != H1_STATE_HEAD &&
	       !(s->state == H1_STATE_BODY && s->body.state == H1_BODY_LENGTH);
}

void h1_finish(struct h1 *h)
{
	h->finishing = true;
}

void h1_fail(struct h1 *h, enum error error)
{
	if (h->error == ERR_NONE)
		h->error = error;
}

void h1_clock_look(struct h1_clock *clock, const struct h1 *h, uint64_t now)
{
	if (h->error != ERR_NONE || h1_phase(h, H1_REQUEST) != H1_HEAD)
		clock->since = 0;
	else if (clock->since == 0 || clock->number != h->requests)
		clock->since = now;
	clock->number = h->requests;
}

bool h1_answers_head(const struct h1 *h)
{
	return h->queue_count != 0 && (h1_answered_kind(h) & H1_KIND_HEAD);
}

enum h1_reply h1_reply(const struct h1 *h)
{
	/* The answer to an error in a body is that of the last request in flight. */
	bool own = h1_phase(h, H1_REQUEST) == H1_BODY;
	enum h1_phase phase = h1_phase(h, H1_RESPONSE);

	if (h1_answer_failed(h)) /* of an incomplete head nothing was sent on */
		return phase == H1_IDLE || phase == H1_HEAD ? H1_REPLY_NOW : H1_REPLY_NEVER;
	if (phase == H1_UNTIL_CLOSE || phase == H1_CLOSED)
		return H1_REPLY_NEVER;
	if (h->queue_count != own)
		return own ? H1_REPLY_NEVER : H1_REPLY_LATER;
	return phase == H1_IDLE ? H1_REPLY_NOW : H1_REPLY_NEVER;
}
