/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The hooks as a whole: taken over from pins where the very same build left them attached, else loaded
 * (load.c) and pinned (pins.c). Each attempt is kept in words, so that doctor can say why a tier was
 * not reached.
 */
#include "user/capture/hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "user/capture/refusal.h"

static const char *const group_names[KW_GROUP_COUNT_] = {
	[KW_GROUP_OOM_KILL_PROCESS] = "oom_kill_process",
	[KW_GROUP_OOM_KILL_ONE] = "__oom_kill_process",
	[KW_GROUP_THROTTLE] = "throttle_cfs_rq",
	[KW_GROUP_PIDS] = "pids_can_fork",
	[KW_GROUP_HIGH] = "mem_cgroup_handle_over_high",
	[KW_GROUP_MARK_VICTIM] = "mark_victim",
	[KW_GROUP_LIFECYCLE] = "cgroup_mkdir",
	[KW_GROUP_SIGNAL] = "signal_generate",
};

const char *kw_hooks_group_name(enum kw_hook_group group)
{
	return group_names[group];
}

static struct kw_hook_attempt *note(struct kw_hooks *hooks, const char *hook, enum kw_tier tier,
				    int error)
{
	struct kw_hook_attempt *attempt = &hooks->attempts[KW_ATTEMPTS_MAX - 1];

	if (hooks->attempt_count < KW_ATTEMPTS_MAX)
		attempt = &hooks->attempts[hooks->attempt_count++];
	*attempt = (struct kw_hook_attempt){ .hook = hook, .tier = tier, .error = error };
	return attempt;
}

static void note_group(void *context, enum kw_hook_group group, enum kw_tier tier, int error)
{
	struct kw_hooks *hooks = context;
	struct kw_hook_attempt *attempt = note(hooks, group_names[group], tier, error);

	kw_refusal_describe_hook(tier, error, attempt->detail, sizeof(attempt->detail));
}

/* Descriptors of our own: those of the object go with it. */
static int dup_map(const struct kw_hooks *hooks, const char *name)
{
	int fd = bpf_object__find_map_fd_by_name(kw_load_object(&hooks->loaded), name);

	return fd < 0 ? fd : fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

static int borrow_maps(struct kw_hooks *hooks)
{
	hooks->maps.evidence = dup_map(hooks, "evidence");
	hooks->maps.losses = dup_map(hooks, "losses");
	hooks->maps.losses_told = dup_map(hooks, "losses_told");
	hooks->maps.counts = dup_map(hooks, "counts");
	hooks->maps.bulk = dup_map(hooks, "bulk");
	hooks->maps.throttles = dup_map(hooks, "throttles");
	hooks->maps.throttles_told = dup_map(hooks, "throttles_told");
	hooks->maps.refusals = dup_map(hooks, "refusals");
	hooks->maps.refusals_told = dup_map(hooks, "refusals_told");
	hooks->maps.cgroup_losses = dup_map(hooks, "cgroup_losses");
	hooks->maps.cgroup_losses_told = dup_map(hooks, "cgroup_losses_told");
	hooks->maps.reader = dup_map(hooks, "reader");
	hooks->maps.highs = dup_map(hooks, "highs");
	hooks->maps.highs_told = dup_map(hooks, "highs_told");
	hooks->maps.lifecycle = dup_map(hooks, "lifecycle");
	hooks->maps.killers = dup_map(hooks, "killers");
	return kw_pins_has_all_maps(&hooks->maps) ? 0 : -ENOMEM;
}

/* ---- pins ---- */

static struct kw_pin_meta describe_self(enum kw_tier ceiling)
{
	return (struct kw_pin_meta){
		.record_version = KW_RECORD_VERSION,
		.ceiling = ceiling,
		.build_id = kw_load_build_id(),
	};
}

/* Whether these are the programs that would be loaded now, all of them still attached. */
static bool is_same(const struct kw_pin_meta *meta, const struct kw_hooks_options *options)
{
	struct kw_pin_meta expected = describe_self(options->ceiling);
	struct kw_combination combination;

	if (meta->record_version != expected.record_version ||
	    meta->build_id != expected.build_id || meta->ceiling != expected.ceiling)
		return false;
	for (unsigned int i = 0; i < KW_GROUP_COUNT_; i++) {
		if (meta->tier[i] >= KW_TIER_COUNT_)
			return false;
		combination.tier[i] = meta->tier[i];
	}
	for (size_t i = 0; i < kw_load_program_count(); i++) {
		const char *program = kw_load_program(&combination, i);

		if (program && !kw_pins_has_link(options->pin_path, program))
			return false;
	}
	return true;
}

/* Takes over pins of this very build; of those of another, what they have left unread, if it can be
 * read. Returns whether programs were taken over. */
static bool adopt(struct kw_hooks *hooks, const struct kw_hooks_options *options)
{
	cleanup(kw_pins_close_maps) struct kw_pins_maps maps = KW_PINS_MAPS_NONE;
	struct kw_pin_meta meta;
	bool adopted;

	if (kw_pins_read(options->pin_path, &maps, &meta) < 0)
		return false;
	adopted = options->ceiling < KW_TIER_FILES && is_same(&meta, options) &&
		  kw_pins_has_all_maps(&maps);
	if (adopted)
		hooks->maps = maps;
	else
		hooks->previous_maps = maps;
	hooks->is_previous_foreign = meta.record_version != KW_RECORD_VERSION;
	maps = KW_PINS_MAPS_NONE;
	for (unsigned int i = 0; adopted && i < KW_GROUP_COUNT_; i++) {
		hooks->combination.tier[i] = meta.tier[i];
		if (meta.tier[i] != KW_TIER_FILES)
			(void)snprintf(note(hooks, group_names[i], meta.tier[i], 0)->detail,
				       sizeof(hooks->attempts[0].detail),
				       "attached: taken over from the last run's pins");
	}
	return adopted;
}

static int save_pins(struct kw_hooks *hooks)
{
	struct bpf_object *object = kw_load_object(&hooks->loaded);
	struct kw_pin_meta meta = describe_self(hooks->ceiling);
	uint32_t zero = 0;

	for (unsigned int i = 0; i < KW_GROUP_COUNT_; i++)
		meta.tier[i] = hooks->combination.tier[i];
	if (bpf_map_update_elem(bpf_object__find_map_fd_by_name(object, "meta"), &zero, &meta,
				BPF_ANY) < 0)
		return -errno;
	return kw_pins_save(hooks->pin_path, object, hooks->loaded.links, hooks->loaded.link_count);
}

/*
 * The new programs are attached before the pins of those that cannot be adopted (another build, ceiling or
 * record version, or incomplete) go, and when what those have recorded was read: so no OOM goes unseen,
 * and whoever dies on the way leaves the old pins whole. What both have seen is told once (handover.c).
 */
void kw_hooks_pin(struct kw_hooks *hooks)
{
	struct kw_hook_attempt *attempt;
	int r;

	if (hooks->pin_fd < 0)
		return;
	r = kw_pins_remove(hooks->pin_path);
	if (!hooks->loaded.skeleton)
		return; /* tier files: nobody would read what they record */
	if (r == 0)
		r = save_pins(hooks);
	hooks->is_pinned = r == 0;
	attempt = note(hooks, "pins", kw_hooks_tier(hooks), r);
	kw_refusal_describe_pins(r, attempt->detail, sizeof(attempt->detail));
}

/* ---- public ---- */

static int open_pins(struct kw_hooks *hooks, const struct kw_hooks_options *options)
{
	struct kw_hook_attempt *attempt;
	int fd;

	if (!options->pin_path)
		return 0;
	fd = kw_pins_open(options->pin_path);
	if (fd == -EEXIST)
		return fd;
	if (fd < 0) {
		attempt = note(hooks, "pins", options->ceiling, fd);
		kw_refusal_describe_pins(fd, attempt->detail, sizeof(attempt->detail));
		return 0;
	}
	hooks->pin_fd = fd;
	return 0;
}

/* Loads and attaches; pins, unless others are to be read first. A tier that cannot be had is no failure.
 * 0 or -ENOMEM. */
static int load_new(struct kw_hooks *hooks, const struct kw_hooks_options *options)
{
	bool has_previous = hooks->previous_maps.evidence >= 0;
	int r = 0;

	if (has_previous) {
		r = kw_handover_begin(hooks, kw_clock_boot_ns(options->clock));
		if (r < 0)
			return r;
	}
	if (options->ceiling < KW_TIER_FILES &&
	    kw_load_best(options, note_group, hooks, &hooks->loaded, &hooks->combination) == 0)
		r = borrow_maps(hooks);
	if (r == 0 && !has_previous)
		kw_hooks_pin(hooks);
	return r;
}

static int open_rings(struct kw_hooks *hooks)
{
	int r = 0;

	if (hooks->maps.evidence >= 0)
		r = kw_ring_open(hooks->maps.evidence, &hooks->ring);
	if (r == 0 && hooks->maps.bulk >= 0)
		r = kw_ring_open(hooks->maps.bulk, &hooks->bulk);
	if (r == 0 && hooks->maps.lifecycle >= 0)
		r = kw_ring_open(hooks->maps.lifecycle, &hooks->lifecycle);
	if (r == 0 && hooks->previous_maps.evidence >= 0 &&
	    kw_ring_open(hooks->previous_maps.evidence, &hooks->previous) < 0) {
		/* no ring: nothing that could be read */
		kw_hooks_pin(hooks);
		kw_pins_close_maps(&hooks->previous_maps);
	}
	return r;
}

int kw_hooks_open(const struct kw_hooks_options *options, struct kw_hooks **ret_hooks,
		  bool *ret_adopted)
{
	cleanup(kw_hooks_freep) struct kw_hooks *hooks = calloc(1, sizeof(*hooks));
	bool adopted = false;
	int r;

	if (!hooks)
		return -ENOMEM;
	hooks->clock = options->clock;
	hooks->pin_path = options->pin_path;
	hooks->ceiling = options->ceiling;
	hooks->maps = KW_PINS_MAPS_NONE;
	hooks->previous_maps = KW_PINS_MAPS_NONE;
	hooks->pin_fd = -1;
	hooks->recording_fd = -1;
	hooks->combination = KW_COMBINATION_NONE;
	r = open_pins(hooks, options);
	if (r < 0)
		return r;
	if (hooks->pin_fd >= 0)
		adopted = adopt(hooks, options);
	if (!adopted) {
		r = load_new(hooks, options);
		if (r < 0)
			return r;
	}
	r = open_rings(hooks);
	if (r < 0)
		return r;
	kw_costs_open(hooks);
	*ret_adopted = adopted;
	*ret_hooks = take_ptr(hooks);
	return 0;
}

void kw_hooks_free(struct kw_hooks *hooks)
{
	if (!hooks)
		return;
	kw_ring_close(&hooks->ring);
	kw_ring_close(&hooks->bulk);
	kw_ring_close(&hooks->lifecycle);
	kw_ring_close(&hooks->previous);
	kw_handover_free(hooks);
	kw_costs_close(&hooks->costs);
	kw_pins_close_maps(&hooks->previous_maps);
	kw_load_free(&hooks->loaded, hooks->is_pinned);
	kw_pins_close_maps(&hooks->maps);
	kw_cleanup_close_fd(&hooks->pin_fd);
	free(hooks);
}

int kw_hooks_detach(const char *pin_path)
{
	return kw_pins_remove(pin_path);
}

/* The tier of the whole: that of the hook which sees the limit's owner, if there is one. */
enum kw_tier kw_hooks_tier(const struct kw_hooks *hooks)
{
	enum kw_tier owner = hooks->combination.tier[KW_GROUP_OOM_KILL_PROCESS];

	return owner != KW_TIER_FILES ? owner : hooks->combination.tier[KW_GROUP_MARK_VICTIM];
}

const struct kw_hook_attempt *kw_hooks_attempts(const struct kw_hooks *hooks, size_t *ret_count)
{
	*ret_count = hooks->attempt_count;
	return hooks->attempts;
}

const char *kw_hooks_name(const struct kw_hooks *hooks, size_t index, enum kw_tier *ret_tier)
{
	if (index >= KW_GROUP_COUNT_)
		return NULL;
	*ret_tier = hooks->combination.tier[index];
	return group_names[index];
}

int kw_hooks_ring_fd(const struct kw_hooks *hooks)
{
	return hooks->maps.evidence;
}

bool kw_hooks_see(const struct kw_hooks *hooks, enum kw_record_kind kind)
{
	static const enum kw_hook_group groups[KW_RECORD_KIND_COUNT_] = {
		[KW_RECORD_OOM_KILL] = KW_GROUP_MARK_VICTIM,
		[KW_RECORD_OOM_END] = KW_GROUP_OOM_KILL_PROCESS,
		[KW_RECORD_THROTTLE] = KW_GROUP_THROTTLE,
		[KW_RECORD_PIDS] = KW_GROUP_PIDS,
		[KW_RECORD_HIGH] = KW_GROUP_HIGH,
		[KW_RECORD_LIFECYCLE] = KW_GROUP_LIFECYCLE,
		[KW_RECORD_USERSPACE_KILL] = KW_GROUP_SIGNAL,
	};

	return kind > 0 && kind < KW_RECORD_KIND_COUNT_ &&
	       hooks->combination.tier[groups[kind]] != KW_TIER_FILES;
}
