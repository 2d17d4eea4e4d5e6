/* SPDX-License-Identifier: ISC */
#include "tls/record_size.h"

/*
 * What a segment carries of a record over all usual links: 1500 bytes of Ethernet, less PPPoE or a
 * tunnel, IPv6, TCP with timestamps, and TLS 1.2.
 */
#define SEGMENT 1369

/* TCP takes a connection for idle after a retransmission timeout, some 200 ms at least. */
#define PAUSE_MS 1000

static const struct {
	unsigned until; /* bytes were sent */
	unsigned size;
} steps[] = {
	{SEGMENT, SEGMENT},
	{4 * SEGMENT, 3 * SEGMENT},
	{10 * SEGMENT, 6 * SEGMENT},
};

#define STEPS (sizeof steps / sizeof *steps)

static size_t largest(uint32_t sent)
{
	for (size_t i = 0; i < STEPS; i++)
		if (sent < steps[i].until)
			return steps[i].size;
	return TLS_RECORD_MAX;
}

size_t tls_record_size(struct tls_record_size *r, size_t len, uint32_t now_ms)
{
	size_t size;

	if (now_ms - r->last_ms >= PAUSE_MS)
		r->sent = 0;
	r->last_ms = now_ms;
	size = largest(r->sent);
	if (size > len)
		size = len;
	if (r->sent < steps[STEPS - 1].until)
		r->sent += (uint32_t)size;
	return size;
}
