/* SPDX-License-Identifier: ISC */
NOEXPORT void give_back(void *);

void set_up(void)
{
	prepare();
	CRYPTO_set_mem_ex_functions(take, take_again, give_back);
}

NOEXPORT void give_back(void *block)
{
	str_free(block);
}
