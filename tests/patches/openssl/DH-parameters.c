/* SPDX-License-Identifier: ISC */
static DH *parameters(void)
{
	DH *dh = DH_new();

	dh->p = number(prime, sizeof(prime));
	dh->g = number(two, sizeof(two));
	if (!dh->p || !dh->g) {
		DH_free(dh);
		return NULL;
	}
	return dh;
}
