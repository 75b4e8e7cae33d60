/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * What a person calls a container: from files that the kubelet, Docker and Podman leave for anybody to read. No
 * daemon is asked. Private to the room.
 */
#include "user/attribute/attribute.h"

struct kw_containers;

/* root: where the host's file system is, "/" but in tests; borrowed. 0 or -ENOMEM. */
int kw_containers_new(const char *root, struct kw_containers **ret_containers) kw_must_check;
void kw_containers_free(struct kw_containers *containers);
KW_DEFINE_CLEANUP(struct kw_containers *, kw_containers_free)

/* Fills container, pod_name and pod_namespace of an identity whose container_id is known; what no file says
 * stays empty. Reads files the first time it hears of a container: for what is rare, as an OOM is. */
void kw_containers_name(struct kw_containers *containers, struct kw_identity *identity);
