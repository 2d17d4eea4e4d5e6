/* SPDX-License-Identifier: ISC */
/* A poll is doubted where nothing came of it. */
static void transfer(CLI *one)
{
	int a, b, c, d;

	do {
		wait_for(one);
		a = may_read(one, 1), b = may_write(one, 1), c = may_read(one, 2),
		d = may_write(one, 2);
		if (!(a || b || c || d)) {
			if (gone(one))
				break;
			say("nothing came of a poll");
			longjmp(one->err, 1);
		}
	} while (relay(one, a, b, c, d));
}
