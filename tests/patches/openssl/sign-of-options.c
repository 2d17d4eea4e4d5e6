/* SPDX-License-Identifier: ISC */
int apply(struct part *part)
{
	SSL_CTX_set_options(part->own, part->ssl_options_set);
	SSL_CTX_clear_options(part->own, part->ssl_options_clear);
	return 1;
}
