/* SPDX-License-Identifier: ISC */
#ifndef REVOCATION_H
#define REVOCATION_H

#include <stdbool.h>
#include <stdint.h>

#include "conn/inquiry.h"
#include "tls/ocsp.h"

/* What workers ask about peers' certificates, of the process that may wait for responders. */

struct revocation_question {
	struct inquiry_head head;
	uint64_t service;			    /* its index in the configuration */
	unsigned char chain[TLS_OCSP_QUESTION_MAX]; /* as much of it as the packet has */
};

struct revocation_answer {
	struct inquiry_head head;
	struct tls_ocsp_answer answer;
};

_Static_assert(sizeof(struct revocation_answer) <= INQUIRY_ANSWER_MAX, "an answer is a packet");

/* As inquiry_ask(), about a verified chain. The answer has its place until the wait is over. */
bool revocation_ask(struct inquiry *q, struct inquiry_wait *wait, struct revocation_answer *answer,
		    uint64_t service, const struct stack_st_X509 *chain);

#endif
