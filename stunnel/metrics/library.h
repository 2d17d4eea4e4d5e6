/* SPDX-License-Identifier: ISC */
#ifndef METRICS_LIBRARY_H
#define METRICS_LIBRARY_H

#include <microhttpd.h>
#include <stdbool.h>

/*
 * libmicrohttpd, loaded by the one process that needs it: it brings GnuTLS and eight more
 * libraries, which have no business in processes that have private keys. Only for programs that
 * were built with its header.
 */

#define LIBRARY_FUNCTIONS(X)           \
	X(add_response_header)         \
	X(create_response_from_buffer) \
	X(destroy_response)            \
	X(get_connection_info)         \
	X(get_daemon_info)             \
	X(get_timeout)                 \
	X(queue_response)              \
	X(quiesce_daemon)              \
	X(run)                         \
	X(start_daemon)                \
	X(stop_daemon)

#define LIBRARY_FIELD(name) __typeof__(MHD_##name) *name;

struct library {
	LIBRARY_FUNCTIONS(LIBRARY_FIELD)
};

/*
 * Before the process is confined: loads the library, for as long as the process lives. False,
 * logged: it is not there, or has not all of these functions, and *l is not to be used.
 */
bool library_load(struct library *l);

#endif
