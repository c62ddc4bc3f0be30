/* A context: a heap that is dropped in one sweep, a current context for the
 * thread, and an error record. */
#include <pxrt.h>

#include <stdio.h>

static int
greet(px_context *cx, const char *whom)
{
    char *text = px_heap_printf(px_context_heap(cx), "Hello, %s!", whom);
    if (!text)
        return px_fail(cx, PX_ENOMEM, "no memory to greet %s", whom);
    puts(text);
    return 0;
}

static int
refuse(px_context *cx)
{
    return px_fail(cx, PX_ENOTSUP, "nobody to greet");
}

int
main(void)
{
    px_context *cx;
    int status = px_context_create(NULL, &cx);
    if (status) {
        fprintf(stderr, "cannot create a context: %s\n", px_strerror(status));
        return 1;
    }
    if (px_enter(cx))
        return 1;
    if (greet(cx, "context") || px_current() != cx)
        return 1;

    /* Every pointer knows its context. */
    char *mine = px_alloc(cx, 100);
    printf("mine: %s, main's: %s\n", px_owner(mine) == cx ? "yes" : "no",
           px_owner(&status) ? "yes" : "no");

    if (refuse(cx) < 0) {
        const px_error *error = px_context_error(cx);
        printf("error: %s (%s)\n", error->message, px_status_name(error->code));
    }
    px_leave(cx);
    px_context_release(cx); /* all of its memory goes, at once */
    return 0;
}
