/* SPDX-License-Identifier: ISC */
/* What a session has is freed with it, and its copies share it. */
#include "prototypes.h"

int number, place;

static void free_place(void *of, void *what, CRYPTO_EX_DATA *all, int i, long n, void *name)
{
	str_free(what);
}

int begin(void)
{
	number = SSL_SESSION_get_ex_new_index(0, "a number", NULL, NULL, NULL);
	place = SSL_SESSION_get_ex_new_index(0, "a place", NULL, NULL, free_place);
	return number < 0 || place < 0;
}
