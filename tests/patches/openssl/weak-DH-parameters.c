/* SPDX-License-Identifier: ISC */
static void set_dh(struct section *section, DH *dh)
{
	SSL_CTX_set_tmp_dh(section->context, dh);
	DH_free(dh);
}
