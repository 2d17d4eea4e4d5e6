/* SPDX-License-Identifier: ISC */
#ifndef REVOCATION_H
#define REVOCATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "tls/ocsp.h"

/*
 * Questions of one worker about peers' certificates, for the process that may wait for responders:
 * each is a packet on a socket, and so is its answer. What is lost with either process is not asked
 * again: who waits has a deadline.
 */

struct revocation_question {
	uint64_t serial;			    /* of the connection */
	uint64_t service;			    /* its index in the configuration */
	unsigned char chain[TLS_OCSP_QUESTION_MAX]; /* as much of it as the packet has */
};

struct revocation_answer {
	uint64_t serial;
	struct tls_ocsp_answer answer;
};

/* A connection's place among those who wait; zeroed: it waits for nothing. */
struct revocation_wait {
	struct revocation_wait *next, **at;
	void (*wake)(void *owner);
	void *owner;
	uint64_t serial;
	uint64_t since; /* of the owner's clock: when it was asked */
	bool answered;
	struct tls_ocsp_answer answer; /* once answered */
};

/* All of one worker. */
struct revocation {
	uv_poll_t poll;
	int fd; /* -1: nobody is to be asked */
	struct revocation_wait *first;
};

/* fd stays the caller's, and open until the handle is closed. */
void revocation_open(struct revocation *r, uv_loop_t *loop, int fd);
void revocation_close(struct revocation *r);

/* Asks about a verified chain, and has wait->wake called once it is answered. False if the question
 * cannot be sent. */
bool revocation_ask(struct revocation *r, struct revocation_wait *wait, uint64_t service,
		    const struct stack_st_X509 *chain);

/* Waits no more; may be called at any time. */
void revocation_cancel(struct revocation_wait *wait);

#endif
