/* See fault_house.h. Thread rule: main, but for the counters. */
#include "fault_house.h"

#include <string.h>

#include "base/atomic.h"

struct house_plan house_plan;
struct house house;

void
house_note(int status)
{
    if (status < 0 && status != ON_PURPOSE && !house.status)
        house.status = status;
}

int
house_open(void)
{
    px_runtime_options options;
    memset(&house, 0, sizeof house);
    px_runtime_options_init(&options);
    px_context_options_init(&options.context);
    options.workers = house_plan.workers;
    options.all_workers = true; /* nobody asks the system how they do */
    if (house_plan.eager)
        options.context.flags = 0;
    options.context.quota = house_plan.quota;
    house_note(px_runtime_create(&options, &house.rt));
    return house.status;
}

void
house_run(void)
{
    const px_error *error = NULL;
    int status;
    while ((status = px_run(house.rt, &error)) < 0) {
        house_note(status);
        house.reported++;
        px_error_release(error);
    }
}

int
house_close(void)
{
    return px_runtime_release(house.rt) ? NO_RELEASE : house.status;
}

/* After house_run(): nothing was lost and nothing is left. */
static bool
adds_up(void)
{
    return house.accepted == house.done + house.handled + house.reported;
}

int
house_run_and_close(void)
{
    house_run();
    if (px_active_count(house.rt) != 0)
        return STILL_ACTIVE;
    bool well = adds_up();
    int status = house_close();
    return well ? status : LOST_SOMETHING;
}

void
house_submitted(int status)
{
    if (status == 0)
        px__add_relaxed(&house.accepted, 1u);
    else
        house_note(status);
}
