/* SPDX-License-Identifier: ISC */
/* A descriptor that is not open has a name. */
static void end(CLI *one)
{
	if (one->local_rfd.fd != INVALID_SOCKET)
		leave(one->local_rfd.fd);
	if (one->remote_fd.fd != INVALID_SOCKET) {
		leave(one->remote_fd.fd);
		one->remote_fd.fd = INVALID_SOCKET;
	}
}
