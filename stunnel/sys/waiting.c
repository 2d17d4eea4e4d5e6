/* SPDX-License-Identifier: ISC */
#include "sys/waiting.h"

#include <stddef.h>

void waiting_enter(struct waiting **list, struct waiting *w)
{
	w->next = *list;
	w->at = list;
	if (w->next)
		w->next->at = &w->next;
	*list = w;
}

void waiting_leave(struct waiting *w)
{
	if (!w->at)
		return;
	*w->at = w->next;
	if (w->next)
		w->next->at = w->at;
	w->at = NULL;
	w->next = NULL;
}

void waiting_wake(struct waiting *w)
{
	waiting_leave(w);
	w->wake(w->owner);
}
