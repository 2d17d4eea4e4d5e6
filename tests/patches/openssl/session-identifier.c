/* SPDX-License-Identifier: ISC */
static int keep(SSL_SESSION *s)
{
	return store(s->session_id, s->session_id_length);
}
