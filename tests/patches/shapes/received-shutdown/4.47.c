/* SPDX-License-Identifier: ISC */
/* What OpenSSL knows of the ends is asked each time. */
static void transfer(CLI *one)
{
	int door = 1;

	do {
		if (!(SSL_get_shutdown(one->ssl) & SSL_RECEIVED_SHUTDOWN))
			wait_for(one);
		if (door && SSL_get_shutdown(one->ssl) & SSL_RECEIVED_SHUTDOWN)
			door = 0;
		if (SSL_get_shutdown(one->ssl) != (SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN))
			poll_for(one);
	} while (door);
}
