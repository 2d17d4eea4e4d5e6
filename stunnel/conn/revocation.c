/* SPDX-License-Identifier: ISC */
#include "conn/revocation.h"

#include <stddef.h>

bool revocation_ask(struct inquiry *q, struct inquiry_wait *wait, struct revocation_answer *answer,
		    uint64_t service, const struct stack_st_X509 *chain)
{
	static struct revocation_question question;
	size_t len = tls_ocsp_question(chain, question.chain);

	question.service = service;
	wait->answer = &answer->head;
	wait->len = sizeof *answer;
	return inquiry_ask(q, wait, &question.head,
			   offsetof(struct revocation_question, chain) + len);
}
