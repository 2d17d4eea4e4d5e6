/* SPDX-License-Identifier: ISC */
#ifndef NTLM_H
#define NTLM_H

#include <stdbool.h>

#include "core/span.h"
#include "negotiate/negotiation.h"

/* The three messages of NTLM (MS-NLMP 2.2.1), as HTTP carries them: in base64. */

#define NTLM_CHALLENGE_BYTES 8
#define NTLM_ANSWER_MAX 1024 /* characters, with the NUL */

/* The first message: what we speak, OEM strings and NTLM. */
extern const char ntlm_hello[];

/* Why the options cannot be answered with, or NULL; static text. */
const char *ntlm_check(const struct negotiation_options *options);

/* Takes the challenge out of the second message; false: it is none. */
bool ntlm_challenge(struct span base64, unsigned char challenge[static NTLM_CHALLENGE_BYTES]);

/* Writes the third message, which is to be wiped; false: OpenSSL failed. */
bool ntlm_answer(const struct negotiation_options *options,
		 const unsigned char challenge[static NTLM_CHALLENGE_BYTES],
		 char text[static NTLM_ANSWER_MAX]);

#endif
