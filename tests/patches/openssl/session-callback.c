/* SPDX-License-Identifier: ISC */
static SSL_SESSION *sess_get_cb(SSL *, unsigned char *, int, int *);

NOEXPORT SSL_SESSION *cache_get(SSL *one, unsigned char *id, int len)
{
	return find(id, len);
}

static SSL_SESSION *sess_get_cb(SSL *connection, unsigned char *id, int len, int *copied)
{
	*copied = 0;
	return find(id, len);
}
