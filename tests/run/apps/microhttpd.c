/* SPDX-License-Identifier: ISC */

#include "report.h"

#include <arpa/inet.h>
#include <microhttpd.h>

static enum MHD_Result put_field(void *seen, enum MHD_ValueKind kind, const char *name,
				 const char *value)
{
	(void)kind;
	report_field(seen, name, value ? value : "");
	return MHD_YES;
}

static enum MHD_Result answer(void *unused, struct MHD_Connection *connection, const char *target,
			      const char *method, const char *version, const char *data,
			      size_t *size, void **context)
{
	long *content = *context;
	struct report *seen;
	struct MHD_Response *response;
	enum MHD_Result result;

	(void)unused, (void)version, (void)data;
	if (!content) {
		*context = calloc(1, sizeof *content);
		return *context ? MHD_YES : MHD_NO;
	}
	if (*size != 0) {
		*content += (long)*size;
		*size = 0;
		return MHD_YES;
	}
	seen = report_new();
	MHD_get_connection_values(connection, MHD_HEADER_KIND, put_field, seen);
	report_tell(seen, method, target, *content);
	response = MHD_create_response_from_buffer(2, (void *)"ok", MHD_RESPMEM_PERSISTENT);
	result = MHD_queue_response(connection, (unsigned)report_status(method), response);
	MHD_destroy_response(response);
	return result;
}

static void completed(void *unused, struct MHD_Connection *connection, void **context,
		      enum MHD_RequestTerminationCode code)
{
	(void)unused, (void)connection, (void)code;
	free(*context);
	*context = NULL;
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	struct MHD_Daemon *server;

	if (argc < 2)
		return 2;
	address.sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10));
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	server = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, answer, NULL,
				  MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_NOTIFY_COMPLETED,
				  completed, NULL, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
				  (size_t)131072, MHD_OPTION_END);
	if (!server)
		return 1;
	for (;;)
		pause();
}
