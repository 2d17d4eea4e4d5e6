/* SPDX-License-Identifier: ISC */
#include "conn/pace.h"

#define SECOND_NS UINT64_C(1000000000)
#define AHEAD_NS (SECOND_NS / 10)

uint64_t pace_wait(const pace *p, uint64_t now)
{
	uint64_t due = atomic_load(p);

	return due > now + AHEAD_NS ? due - now - AHEAD_NS : 0;
}

void pace_take(pace *p, uint32_t per_second, uint64_t now)
{
	uint64_t due = atomic_load(p), next;

	do
		next = (due > now ? due : now) + SECOND_NS / per_second;
	while (!atomic_compare_exchange_weak(p, &due, next));
}
