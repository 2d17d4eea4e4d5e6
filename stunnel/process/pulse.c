/* SPDX-License-Identifier: ISC */
#include "process/pulse.h"

#include "sys/notify.h"

static void on_beat(uv_timer_t *timer)
{
	const struct pulse *p = timer->data;

	board_beat(p->place->board, p->place->row);
}

void pulse_start(struct pulse *p, uv_loop_t *loop, const struct child_place *place)
{
	uint64_t every = notify_watchdog_ms() / PULSE_PARTS;

	p->place = NULL;
	if (every == 0)
		return;
	p->place = place;
	uv_timer_init(loop, &p->timer);
	p->timer.data = p;
	uv_timer_start(&p->timer, on_beat, 0, every);
}

void pulse_stop(struct pulse *p)
{
	if (p->place)
		uv_close((uv_handle_t *)&p->timer, NULL);
	p->place = NULL;
}
