/* SPDX-License-Identifier: ISC */
#include "conn/id.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

/* 22 digits of 62 are as much as a UUID's 128 bits; `byte % 62` is as even as a name has to be. */
static void make_unique(char *id, size_t len)
{
	static const char digit[] =
		"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	unsigned char random[32];

	if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
		memset(random, 0, sizeof random);
	for (size_t i = 0; i < len; i++)
		id[i] = digit[random[i] % 62];
	id[len] = '\0';
}

/* A worker has one thread, whose number is the process's. */
void id_make(char *id, size_t size, enum conn_log_id kind, uint64_t serial)
{
	switch (kind) {
	case CONN_LOG_UNIQUE:
		make_unique(id, 22);
		return;
	case CONN_LOG_PROCESS:
		snprintf(id, size, "%d", (int)getpid());
		return;
	case CONN_LOG_SEQUENTIAL:
		break;
	}
	snprintf(id, size, "%llu", (unsigned long long)serial);
}
