/* SPDX-License-Identifier: ISC */
#ifndef TLS_FAULT_H
#define TLS_FAULT_H

#include <stdbool.h>

/* How bad a fault of the settings is. */
enum tls_trouble {
	TLS_TROUBLE_WARNING, /* it works, though perhaps not as it was meant */
	TLS_TROUBLE_NOBODY,  /* no peer would be accepted as things are */
	TLS_TROUBLE_ERROR,   /* there is no context */
};

/*
 * Who is told of faults while a context is made: how bad it is, the option that has it or NULL, and
 * the reason, which names the file or the value.
 */
struct tls_fault_to {
	void (*told)(void *arg, enum tls_trouble trouble, const char *option, const char *why);
	void *arg;
};

/*
 * Tells "WHAT: ABOUT: OpenSSL's reason" as the option's error, and empties OpenSSL's error queue;
 * about: a value, a file or "". Returns false, for callers to.
 */
bool tls_fault_refuse(const struct tls_fault_to *to, const char *option, const char *what,
		      const char *about);

/* Likewise "WHAT: PATH: REASON", where OpenSSL's reason says too little. */
bool tls_fault_refuse_file(const struct tls_fault_to *to, const char *option, const char *what,
			   const char *path, const char *reason);

/* Tells a text as printf(3) makes it, cut at TLS_WHY_MAX bytes, and empties OpenSSL's queue. */
void tls_fault_tell(const struct tls_fault_to *to, enum tls_trouble trouble, const char *option,
		    const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
