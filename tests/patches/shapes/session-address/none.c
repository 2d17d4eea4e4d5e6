/* SPDX-License-Identifier: ISC */
/* A copy has its own, and a context is never copied. */
int number, place, options;

int begin(void)
{
	number = SSL_SESSION_get_ex_new_index(0, "a number", NULL, NULL, NULL);
	place = SSL_SESSION_get_ex_new_index(0, "a place", NULL, copy_place, free_place);
	options = SSL_CTX_get_ex_new_index(0, "options", NULL, NULL, free_options);
	return number < 0 || place < 0 || options < 0;
}
