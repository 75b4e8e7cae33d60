/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The room's work: an observation goes in, the same observation with identities comes out. A path that
 * lacks components near its root says nothing about whose it is: whatever stands in it may have been
 * named by a container that nested its cgroups deep enough, so unit, pod and cell stay unknown then. A
 * cgroup of a v1 hierarchy has a path in another tree, so no cell is found by it.
 */
#include "user/attribute/attribute.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "user/attribute/cgroups.h"
#include "user/attribute/containers.h"
#include "user/base/cleanup.h"

struct kw_attribute {
	const struct kw_cells *cells; /* may be NULL */
	struct kw_cgroups *cgroups;
	struct kw_containers *containers;
};

static const struct kw_cell *cell_of_path(const struct kw_attribute *attribute, const char *path)
{
	return attribute->cells ? kw_cells_by_cgroup(attribute->cells, path) : NULL;
}

/* Unit, pod and cell of a whole path. */
static void fill_names(const struct kw_attribute *attribute, struct kw_identity *identity)
{
	const struct kw_cell *cell;

	kw_units_parse(identity->path, identity);
	kw_pods_parse(identity->path, identity);
	cell = identity->v1 ? NULL : cell_of_path(attribute, identity->path);
	if (cell)
		memcpy(identity->cell_id, cell->cell_id, sizeof(identity->cell_id));
}

static void identify(struct kw_attribute *attribute, const struct kw_cgroup_ref *cgroup,
		     struct kw_identity *ret_identity)
{
	struct kw_identity identity = { 0 };
	const char *remembered;

	*ret_identity = identity;
	if (!(cgroup->flags & KW_CGROUP_KNOWN))
		return;
	identity.known = true;
	identity.id = cgroup->id;
	identity.truncated = cgroup->flags & KW_CGROUP_TRUNCATED;
	identity.v1 = cgroup->flags & KW_CGROUP_V1;
	if (kw_record_cgroup_path(cgroup, identity.path, sizeof(identity.path)) < 0) {
		identity.path[0] = '\0';
		identity.truncated = true;
	}
	if (identity.truncated) {
		remembered = kw_cgroups_find(attribute->cgroups, cgroup->id, cgroup->serial);
		if (remembered) {
			(void)snprintf(identity.path, sizeof(identity.path), "%s", remembered);
			identity.truncated = false;
		}
	} else {
		if (identity.v1)
			kw_cgroups_learn_v1(attribute->cgroups, cgroup->id, cgroup->serial,
					    identity.path);
		else
			kw_cgroups_learn(attribute->cgroups, cgroup->id, cgroup->serial,
					 identity.path);
	}
	if (!identity.truncated)
		fill_names(attribute, &identity);
	*ret_identity = identity;
}

/*
 * Keeps the table true, and says whose it is. A cgroup that is released is named by what was known, then
 * forgotten. A rename comes first: the path that was known is the old one.
 */
static void follow(struct kw_attribute *attribute, const struct kw_record_lifecycle *record,
		   struct kw_identity *ret_identity)
{
	const struct kw_cgroup_ref *cgroup = &record->cgroup;
	char path[KW_PATH_MAX];
	bool is_whole = !(cgroup->flags & KW_CGROUP_TRUNCATED) &&
			kw_record_cgroup_path(cgroup, path, sizeof(path)) == 0;

	if (record->what == KW_LIFECYCLE_RENAME && cgroup->flags & KW_CGROUP_V1)
		kw_cgroups_rename_v1(attribute->cgroups, cgroup->id, cgroup->serial,
				     is_whole ? path : NULL);
	identify(attribute, cgroup, ret_identity);
	if (record->what == KW_LIFECYCLE_RMDIR)
		kw_cgroups_bury(attribute->cgroups, cgroup->id, cgroup->serial);
	else if (record->what == KW_LIFECYCLE_RELEASE)
		kw_cgroups_forget(attribute->cgroups, cgroup->id, cgroup->serial);
}

static void identify_oom(struct kw_attribute *attribute, const struct kw_oom_context *oom,
			 struct kw_attributed *attributed)
{
	if (oom->flags & KW_OOM_OWNER_KNOWN)
		identify(attribute, &oom->owner, &attributed->owner);
	identify(attribute, &oom->trigger_cgroup, &attributed->trigger);
	kw_containers_name(attribute->containers, &attributed->owner);
	kw_containers_name(attribute->containers, &attributed->trigger);
	kw_containers_name(attribute->containers, &attributed->victim);
}

static void set_cell(struct kw_attributed *attributed, const struct kw_cell *cell)
{
	if (!cell)
		return;
	attributed->has_cell = true;
	attributed->cell = *cell;
}

/* The cell an identity was found to lie in. */
static void set_cell_of(const struct kw_attribute *attribute, const struct kw_identity *identity,
			struct kw_attributed *attributed)
{
	if (identity->cell_id[0] != '\0')
		set_cell(attributed, cell_of_path(attribute, identity->path));
}

int kw_attribute_open(const struct kw_cells *cells, struct kw_attribute **ret_attribute)
{
	return kw_attribute_open_below("/", cells, ret_attribute);
}

int kw_attribute_open_below(const char *root, const struct kw_cells *cells,
			    struct kw_attribute **ret_attribute)
{
	cleanup(kw_attribute_freep) struct kw_attribute *attribute = calloc(1, sizeof(*attribute));
	int r;

	if (!attribute)
		return -ENOMEM;
	attribute->cells = cells;
	r = kw_cgroups_new(&attribute->cgroups);
	if (r == 0)
		r = kw_containers_new(root, &attribute->containers);
	if (r < 0)
		return r;
	*ret_attribute = take_ptr(attribute);
	return 0;
}

void kw_attribute_free(struct kw_attribute *attribute)
{
	if (!attribute)
		return;
	kw_cgroups_free(attribute->cgroups);
	kw_containers_free(attribute->containers);
	free(attribute);
}

void kw_attribute_observation(struct kw_attribute *attribute,
			      const struct kw_observation *observation,
			      struct kw_attributed *ret_attributed)
{
	memset(ret_attributed, 0, sizeof(*ret_attributed));
	ret_attributed->observation = observation;
	switch (observation->kind) {
	case KW_OBSERVATION_OOM_KILL:
		identify(attribute, &observation->kill->victim_cgroup, &ret_attributed->victim);
		identify_oom(attribute, &observation->kill->oom, ret_attributed);
		set_cell_of(attribute, &ret_attributed->victim, ret_attributed);
		break;
	case KW_OBSERVATION_OOM_END:
		identify_oom(attribute, &observation->end->oom, ret_attributed);
		set_cell_of(attribute, &ret_attributed->owner, ret_attributed);
		break;
	case KW_OBSERVATION_THROTTLE:
		identify(attribute, &observation->throttle->throttle.cgroup,
			 &ret_attributed->victim);
		set_cell_of(attribute, &ret_attributed->victim, ret_attributed);
		break;
	case KW_OBSERVATION_PIDS:
		identify(attribute, &observation->pids->refusals.cgroup, &ret_attributed->victim);
		identify(attribute, &observation->pids->refusals.owner, &ret_attributed->owner);
		set_cell_of(attribute, &ret_attributed->victim, ret_attributed);
		break;
	case KW_OBSERVATION_LIFECYCLE:
		follow(attribute, observation->lifecycle, &ret_attributed->victim);
		break;
	case KW_OBSERVATION_HIGH:
		identify(attribute, &observation->high->high.cgroup, &ret_attributed->victim);
		identify(attribute, &observation->high->high.owner, &ret_attributed->owner);
		set_cell_of(attribute, &ret_attributed->victim, ret_attributed);
		break;
	case KW_OBSERVATION_USERSPACE_KILL:
		identify(attribute, &observation->userspace_kill->victim_cgroup,
			 &ret_attributed->victim);
		identify(attribute, &observation->userspace_kill->killer_cgroup,
			 &ret_attributed->trigger);
		kw_containers_name(attribute->containers, &ret_attributed->victim);
		set_cell_of(attribute, &ret_attributed->victim, ret_attributed);
		break;
	case KW_OBSERVATION_READING:
		set_cell(ret_attributed, cell_of_path(attribute, observation->reading->cgroup));
		break;
	case KW_OBSERVATION_COUNTS:
		kw_attribute_path(attribute, observation->counts->path, &ret_attributed->victim);
		ret_attributed->victim.id = observation->counts->cgroup_id;
		set_cell_of(attribute, &ret_attributed->victim, ret_attributed);
		break;
	case KW_OBSERVATION_GUEST:
		if (attribute->cells)
			set_cell(ret_attributed,
				 kw_cells_by_handle(attribute->cells, observation->guest->handle));
		break;
	case KW_OBSERVATION_LOST:
		identify(attribute, &observation->lost->cgroup, &ret_attributed->victim);
		if (ret_attributed->victim.truncated)
			ret_attributed->victim.path[0] = '\0';
		set_cell_of(attribute, &ret_attributed->victim, ret_attributed);
		break;
	case KW_OBSERVATION_KIND_COUNT_:
		break;
	}
}

void kw_attribute_path(struct kw_attribute *attribute, const char *path,
		       struct kw_identity *ret_identity)
{
	struct kw_identity identity = { .known = true };

	if (path[0] != '/' || path[1] == '/' ||
	    strnlen(path, sizeof(identity.path)) == sizeof(identity.path)) {
		*ret_identity = (struct kw_identity){ 0 };
		return;
	}
	(void)snprintf(identity.path, sizeof(identity.path), "%s", path);
	fill_names(attribute, &identity);
	*ret_identity = identity;
}
