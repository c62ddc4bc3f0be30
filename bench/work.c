#include "harness.h"
void
bench_register_work(void)
{
}
void
bench_register_server(void)
{
}
