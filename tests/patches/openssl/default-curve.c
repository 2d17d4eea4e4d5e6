/* SPDX-License-Identifier: ISC */
static void preset(struct section *s)
{
#define DEFAULT_CURVE NID_some
	s->curve = DEFAULT_CURVE;
	tell("curve", OBJ_nid2ln(DEFAULT_CURVE));
}
