/* SPDX-License-Identifier: ISC */
static void set_up(struct section *s)
{
	s->crl_store->cache = 0;
	add_folder(s->crl_store);
}
