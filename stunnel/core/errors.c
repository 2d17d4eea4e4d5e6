/* SPDX-License-Identifier: ISC */
#include "errors.h"

const struct errors_info errors_info[ERR_COUNT] = {
#define X(id, name, status, source, text) \
	[ERR_##id] = {name, status, source, text, sizeof text - 1, name " (" source "): " text},
	ERRORS(X)
#undef X
};
