/* SPDX-License-Identifier: ISC */
static void tell(const SSL *ssl)
{
	printf("%ld sessions", SSL_CTX_sess_number(ssl->ctx));
}
