/* SPDX-License-Identifier: ISC */
/* Other things are asked for, and elsewhere. */
static void transfer(CLI *one)
{
	int a, b, c, d;

	do {
		wait_for(one);
		a = may_read(one, 1), b = may_write(one, 1), c = may_read(one, 2),
		d = may_write(one, 2);
		if (!(a || b))
			break;
	} while (relay(one, a, b, c, d));
}

static int idle(CLI *one, int a, int b, int c, int d)
{
	return !(a || b || c || d);
}
