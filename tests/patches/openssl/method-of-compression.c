/* SPDX-License-Identifier: ISC */
static int has_method(COMP_METHOD *cm)
{
	return cm && cm->type != NID_undef;
}
