/* A room that includes another room's private header: rooms.awk must refuse it. */
#include "user/capture/hooks_private.h"
