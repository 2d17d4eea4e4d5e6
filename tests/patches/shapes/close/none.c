/* SPDX-License-Identifier: ISC */
/* The client's descriptor, and the backend's where it is only asked for. */
static void end(CLI *one)
{
	if (one->local_rfd.fd >= 0)
		leave(one->local_rfd.fd);
	while (one->remote_fd.fd > 0 && busy(one))
		leave(one->local_wfd.fd);
}
