/* SPDX-License-Identifier: ISC */
/* A variable says that the client may still send. */
static void transfer(CLI *one)
{
	int door = 1, window = 1, client = 1, hungry, thirsty = 0;

	do {
		hungry = client && one->ssl_ptr < BUFFSIZE && !thirsty;
		if (!wait_for(one, door && client ? 2 : 1))
			if ((door && client) || one->ssl_ptr)
				return;
		hungry = client && one->ssl_ptr < BUFFSIZE && !thirsty;
		if (hungry && !read_from(one))
			client = 0;
		if (window && !client && !one->ssl_ptr)
			window = 0;
		tell(client ? "Y" : "n");
	} while (window);
}
