/* SPDX-License-Identifier: ISC */
static int set_curve(struct section *section)
{
	EC_KEY *k;

	k = EC_KEY_new_by_curve_name(section->curve);
	return k == NULL;
}
