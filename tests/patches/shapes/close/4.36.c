/* SPDX-License-Identifier: ISC */
/* A descriptor that is not open is a negative number. */
static void end(CLI *one)
{
	if (one->local_rfd.fd >= 0)
		leave(one->local_rfd.fd);
	if (one->remote_fd.fd >= 0) {
		leave(one->remote_fd.fd);
		one->remote_fd.fd = -1;
	}
}
