/* SPDX-License-Identifier: ISC */
#ifndef TLS_NTLM_H
#define TLS_NTLM_H

#include <stdbool.h>

#define TLS_NTLM_CHALLENGE 8 /* bytes */
#define TLS_NTLM_RESPONSE 24

/*
 * Makes MD4 and DES ready, which are outlawed everywhere else, and are OpenSSL's legacy provider's.
 * To be called at the load: that provider is a file, which a confined process does not see. NULL,
 * or why there is no NTLM; static text.
 */
const char *tls_ntlm_open(void);

/*
 * The NTLMv1 response to a challenge (MS-NLMP 3.3.1, without its session security). Each byte of
 * the password counts as a character of UTF-16. False: OpenSSL failed, or was not made ready.
 */
bool tls_ntlm_respond(const char *password,
		      const unsigned char challenge[static TLS_NTLM_CHALLENGE],
		      unsigned char response[static TLS_NTLM_RESPONSE]);

#endif
