/* SPDX-License-Identifier: ISC */
#ifndef TLS_SETTINGS_H
#define TLS_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "tls/ocsp.h"
#include "tls/tickets.h"
#include "tls/verify.h"

#define TLS_LEAST_SECURITY_LEVEL 2 /* OpenSSL's, unless the settings ask for a lower one */

/* What a service's TLS side is made of; strings may be NULL where that means the default. */
struct tls_settings {
	const char *service; /* sessions of services are kept apart */
	bool client;
	const char *server_name; /* that a client sends (RFC 6066 3); NULL: none */
	/* Files as tls/file.h reads them. Without any key, each is in its certificate's file. */
	struct tls_names cert, key;
	const char *psk_secrets;  /* a file of lines IDENTITY:KEY; NULL: none */
	const char *psk_identity; /* of the line that a client uses; NULL: the first */
	const char *ciphers;	  /* up to TLS 1.2 */
	const char *ciphersuites;
	const char *curves;
	const char *curves_option; /* the one of the option's two names that the file uses */
	int version_min;	   /* as from tls_library_version(); 0: no bound */
	int version_max;
	uint64_t options_set;
	uint64_t options_clear;
	int security_level; /* OpenSSL's; -1: the higher of TLS_LEAST_SECURITY_LEVEL and its own */
	struct tls_names commands; /* as for tls/commands.h */
	bool session_resume;
	bool renegotiates;   /* up to TLS 1.2, where the options let the peer ask for it */
	int session_seconds; /* how long a session can be resumed */
	int session_size;    /* sessions in the cache; 0: as many as a cache can have */
	bool sessiond;	     /* the owner of each connection keeps them elsewhere, too */
	struct tls_tickets_secret ticket_key, ticket_mac; /* both, or none */
	const char *alpn;   /* protocol names to offer, by commas; NULL: ALPN is ignored */
	bool alpn_optional; /* a server goes on with clients that name none of them */
	struct tls_verify verify;
	struct tls_ocsp ocsp;
	const char *staple; /* yes: a server's own responders are asked; or a file; NULL, no */
	/* verify.ca_path and crl_path, which the workers read, as they are called outside chroot */
	const char *ca_folder, *crl_folder;
	unsigned cert_texts; /* enum facts_cert_text */
};

#endif
