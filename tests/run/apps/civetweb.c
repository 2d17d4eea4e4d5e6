/* SPDX-License-Identifier: ISC */

#include "report.h"

#include <civetweb.h>

static int answer(struct mg_connection *connection, void *unused)
{
	const struct mg_request_info *info = mg_get_request_info(connection);
	struct report *seen = report_new();
	char data[4096];
	long content = -1;
	int more;

	(void)unused;
	for (int i = 0; i < info->num_headers; i++)
		report_field(seen, info->http_headers[i].name, info->http_headers[i].value);
	if (report_reads(info->request_method))
		for (content = 0; (more = mg_read(connection, data, sizeof data)) > 0;)
			content += more;
	report_tell(seen, info->request_method, info->request_uri, content);
	mg_printf(connection, "HTTP/1.1 %d -\r\nContent-Length: 2\r\n\r\nok",
		  report_status(info->request_method));
	return 200;
}

int main(int argc, char **argv)
{
	char where[64];
	const char *options[] = {"listening_ports",
				 where,
				 "num_threads",
				 "8",
				 "enable_keep_alive",
				 "yes",
				 "keep_alive_timeout_ms",
				 "60000",
				 "request_timeout_ms",
				 "60000",
				 NULL};
	struct mg_context *server;

	if (argc < 2)
		return 2;
	snprintf(where, sizeof where, "127.0.0.1:%s", argv[1]);
	mg_init_library(0);
	server = mg_start(NULL, NULL, options);
	if (!server)
		return 1;
	mg_set_request_handler(server, "/", answer, NULL);
	for (;;)
		pause();
}
