/* A room that includes a later one: rooms.awk must refuse it. */
#include "user/attest/attest.h"
