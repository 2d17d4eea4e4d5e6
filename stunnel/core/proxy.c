/* SPDX-License-Identifier: ISC */
#include "proxy.h"

bool proxy_v1(const struct facts *facts, struct out *out)
{
	const struct facts_addr *from = &facts->client, *to = &facts->server;

	if (from->family == FACTS_NONE || from->family != to->family)
		return false;
	out_put(out, from->family == FACTS_IPV4 ? SPAN("PROXY TCP4 ") : SPAN("PROXY TCP6 "));
	out_put(out, span_of(from->text, from->text_len));
	out_char(out, ' ');
	out_put(out, span_of(to->text, to->text_len));
	out_char(out, ' ');
	out_decimal(out, from->port);
	out_char(out, ' ');
	out_decimal(out, to->port);
	out_put(out, SPAN("\r\n"));
	return true;
}
