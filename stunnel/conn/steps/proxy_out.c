/* SPDX-License-Identifier: ISC */
#include "conn/steps/proxy_out.h"

#include "core/proxy_encode.h"

static enum step_result run(struct conn *c, unsigned events)
{
	char header[PROXY_HEADER_MAX];
	struct out out = out_of(header, sizeof header);
	uint32_t dropped;

	(void)events;
	/* The load refuses version 1 for Unix sockets, but a PROXY header may name no address. */
	if (!proxy_encode(&c->service->policy.proxy, &c->front.facts, &out, &dropped)) {
		conn_log(c, LOG_ERR, "The client has no IP address for the PROXY header");
		return STEP_RESET;
	}
	if (dropped != 0 && !c->service->proxy_warned) {
		c->service->proxy_warned = true;
		conn_log(c, LOG_WARNING,
			 "Service [%s]: TLVs were left out of a PROXY header of %d bytes at most",
			 c->service->name, c->service->policy.proxy.max_length);
	}
	if (!flow_prepend(&c->relay.flow[H1_REQUEST], out_span(&out)))
		return STEP_RESET;
	if (c->service->policy.proxy.version == 1)
		conn_log(c, LOG_DEBUG, " -> %.*s", (int)out.len - 2, header);
	else
		conn_log(c, LOG_DEBUG, " -> PROXY v2 header, %zu bytes", out.len);
	return STEP_NEXT;
}

const struct step proxy_out_step = {.run = run};
