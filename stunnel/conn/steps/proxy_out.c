/* SPDX-License-Identifier: ISC */
#include "conn/steps/proxy_out.h"

#include "conn/steps/answer.h"
#include "core/proxy_encode.h"

/* Makes the header; false, logged, if there is none for this client. */
static bool make(struct conn *c, struct out *out)
{
	uint32_t dropped;

	/* The load refuses version 1 for Unix sockets, but a PROXY header may name no address. */
	if (!proxy_encode(&c->service->policy->proxy, &c->front.facts, out, &dropped)) {
		conn_log(c, LOG_ERR, "The client has no IP address for the PROXY header");
		return false;
	}
	if (dropped != 0 && !c->service->proxy_warned) {
		c->service->proxy_warned = true;
		conn_log(c, LOG_WARNING,
			 "Service [%s]: TLVs were left out of a PROXY header of %d bytes at most",
			 c->service->name, c->service->policy->proxy.max_length);
	}
	if (c->service->policy->proxy.version == 1)
		conn_log(c, LOG_DEBUG, " -> %.*s", (int)out->len - 2, out->p);
	else
		conn_log(c, LOG_DEBUG, " -> PROXY v2 header, %zu bytes", out->len);
	return true;
}

static enum step_result run(struct conn *c, unsigned events)
{
	char header[PROXY_HEADER_MAX];
	struct out out = out_of(header, sizeof header);

	(void)events;
	if (!make(c, &out) || !flow_prepend(&c->relay.flow[H1_REQUEST], out_span(&out)))
		return STEP_RESET;
	return STEP_NEXT;
}

const struct step proxy_out_step = {"PROXY header", .run = run};

/* --- alone ------------------------------------------------------------------------------------ */

static enum step_result run_alone(struct conn *c, unsigned events)
{
	struct flow *f = &c->back->ahead;
	char header[PROXY_HEADER_MAX];
	struct out out = out_of(header, sizeof header);
	bool begun = f->sent != 0 || f->unsent.len != 0;
	enum flow_result result;

	(void)events;
	if (!begun && !make(c, &out))
		return STEP_RESET;
	result = begun ? flow_flush(f, &c->back->end, c->pool->scratch.why)
		       : flow_send(f, &c->back->end, out_span(&out), c->pool->scratch.why);
	if (result != FLOW_DONE) {
		conn_log(c, LOG_ERR, "%s", c->pool->scratch.why);
		return answer_unavailable(c);
	}
	if (f->unsent.len == 0)
		return STEP_NEXT;
	conn_wait(c, RELAY_FRONT, false, false);
	conn_wait(c, RELAY_BACK, false, true);
	return STEP_WAIT;
}

static uint64_t deadline(const struct conn *c)
{
	return conn_after(c->back->at.since, c->service->timeout.busy);
}

static enum step_result expired(struct conn *c)
{
	conn_log(c, LOG_INFO, "TIMEOUTbusy exceeded: sending reset");
	return answer_unavailable(c);
}

const struct step proxy_out_alone_step = {"PROXY header", run_alone, deadline, expired};
