/* SPDX-License-Identifier: ISC */

#include "report.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <stdint.h>

static const struct {
	enum evhttp_cmd_type type;
	const char *name;
} methods[] = {
	{EVHTTP_REQ_GET, "GET"},     {EVHTTP_REQ_POST, "POST"},	    {EVHTTP_REQ_HEAD, "HEAD"},
	{EVHTTP_REQ_PUT, "PUT"},     {EVHTTP_REQ_DELETE, "DELETE"}, {EVHTTP_REQ_OPTIONS, "OPTIONS"},
	{EVHTTP_REQ_TRACE, "TRACE"}, {EVHTTP_REQ_PATCH, "PATCH"},
};

static void answer(struct evhttp_request *request, void *unused)
{
	struct report *seen = report_new();
	struct evkeyval *field;
	const char *method = "CONNECT";
	struct evbuffer *body = evbuffer_new();

	(void)unused;
	for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
		if (methods[i].type == evhttp_request_get_command(request))
			method = methods[i].name;
	for (field = evhttp_request_get_input_headers(request)->tqh_first; field;
	     field = field->next.tqe_next)
		report_field(seen, field->key, field->value);
	report_tell(seen, method, evhttp_request_get_uri(request),
		    (long)evbuffer_get_length(evhttp_request_get_input_buffer(request)));
	evbuffer_add(body, "ok", 2);
	evhttp_send_reply(request, 200, "OK", body);
	evbuffer_free(body);
}

int main(int argc, char **argv)
{
	struct event_base *base = event_base_new();
	struct evhttp *server = evhttp_new(base);

	if (argc < 2 ||
	    evhttp_bind_socket(server, "127.0.0.1", (uint16_t)strtoul(argv[1], NULL, 10)) != 0)
		return 2;
	evhttp_set_allowed_methods(server, 0x1ff & ~EVHTTP_REQ_CONNECT);
	evhttp_set_gencb(server, answer, NULL);
	return event_base_dispatch(base);
}
