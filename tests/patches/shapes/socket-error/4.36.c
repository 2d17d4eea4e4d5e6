/* SPDX-License-Identifier: ISC */
/* The loop asks for what failed. */
static void transfer(CLI *one)
{
	int failed;

	while (more(one)) {
		failed = get_socket_error(one->sock_rfd->fd);
		if (failed)
			tell(failed, "plain");
	}
}
