/* SPDX-License-Identifier: ISC */
/* Whoever asks knows of no connection. */
static int attempt(int fd)
{
	return get_socket_error(fd);
}
