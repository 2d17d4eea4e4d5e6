/* SPDX-License-Identifier: ISC */
#include "metrics/library.h"

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

#include "sys/log.h"

/* The interface of 0.9.71, and of all releases since, as of 1.0: another number has another one. */
#define SONAME "libmicrohttpd.so.12"

#define ROW(name) {"MHD_" #name, offsetof(struct library, name)},

static const struct function {
	const char *name;
	size_t at;
} functions[] = {LIBRARY_FUNCTIONS(ROW)};

bool library_load(struct library *l)
{
	void *library = dlopen(SONAME, RTLD_NOW | RTLD_LOCAL);

	for (size_t i = 0; library && i < sizeof functions / sizeof functions[0]; i++) {
		void *found = dlsym(library, functions[i].name);

		if (!found)
			library = NULL;
		memcpy((char *)l + functions[i].at, &found, sizeof found);
	}
	if (!library)
		log_main(LOG_ERR, "metrics needs libmicrohttpd: %s", dlerror());
	return library != NULL;
}
