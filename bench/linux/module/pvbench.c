// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The Linux side of what pvbench measures in a kernel: the same things, done by the kernel's own
 * functions, between the same time stamps. It judges nothing: "NAME ROUNDS" written to its file
 * /proc/pvbench runs a probe, reading gives its samples in ticks, ROUNDS for each of its series one
 * series after the other. The statistics are those of pvbench itself (bench/linux/pvbench), in user
 * space. "mark NUMBER" puts the number into Xen's trace (apps/pvbench/probe.h).
 *
 * For the lab only: whoever can write to the file can crash the kernel.
 */
#include <linux/delay.h>
#include <linux/hrtimer.h>
#include <linux/interrupt.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include <asm/xen/hypercall.h>
#include <asm/xen/page.h>
#include <xen/events.h>
#include <xen/grant_table.h>
#include <xen/interface/event_channel.h>
#include <xen/interface/sched.h>
#include <xen/interface/vcpu.h>
#include <xen/interface/version.h>
#include <xen/xenbus.h>

#define ROUNDS_MAX 4096
#define SERIES_MAX 3
#define BATCH_MAX 512

static u64 sample[SERIES_MAX][ROUNDS_MAX];
static unsigned int nr_series, nr_rounds;
static DEFINE_MUTEX(running);

static inline u64 stamp(void)
{
	u32 lo, hi;

	asm volatile("lfence; rdtsc; lfence" : "=a"(lo), "=d"(hi) : : "memory");
	return (u64)hi << 32 | lo;
}

/* (call) is what is measured, in round i. */
#define EACH_ROUND(n, call)                          \
	do {                                         \
		for (unsigned int i = 0; i < (n); i++) { \
			u64 begin = stamp();         \
			call;                        \
			sample[0][i] = stamp() - begin; \
		}                                    \
	} while (0)

/* ---- hypercalls ---- */

static int hypercall_null(unsigned int n, unsigned long arg)
{
	EACH_ROUND(n, HYPERVISOR_xen_version(XENVER_version, NULL));
	return 0;
}

static int hypercall_yield(unsigned int n, unsigned long arg)
{
	EACH_ROUND(n, HYPERVISOR_sched_op(SCHEDOP_yield, NULL));
	return 0;
}

static int hypercall_multicall(unsigned int n, unsigned long calls)
{
	static struct multicall_entry call[64];

	for (unsigned long i = 0; i < calls; i++)
		call[i] = (struct multicall_entry){ .op = __HYPERVISOR_xen_version,
						    .args = { XENVER_version } };
	EACH_ROUND(n, HYPERVISOR_multicall(call, calls));
	return 0;
}

/* ---- memory ---- */

/* (pages) pages of our own, and where the entry of each lies. */
static char *area_of(unsigned long pages)
{
	char *area = vmalloc(pages * PAGE_SIZE);

	if (area)
		memset(area, 0, pages * PAGE_SIZE);
	return area;
}

static pte_t *entry_of(void *va)
{
	unsigned int level;

	return lookup_address((unsigned long)va, &level);
}

static int mem_update_va(unsigned int n, unsigned long flags)
{
	char *area = area_of(1);
	pte_t pte;

	if (!area)
		return -ENOMEM;
	pte = *entry_of(area);
	for (unsigned int i = 0; i < n; i++) {
		pte_t next = i % 2 ? pte : pte_wrprotect(pte);
		u64 begin = stamp();

		if (HYPERVISOR_update_va_mapping((unsigned long)area, next, flags))
			break;
		sample[0][i] = stamp() - begin;
	}
	(void)HYPERVISOR_update_va_mapping((unsigned long)area, pte, UVMF_INVLPG | UVMF_ALL);
	vfree(area);
	return 0;
}

static int mem_mmu_update(unsigned int n, unsigned long entries)
{
	static struct mmu_update update[BATCH_MAX];
	char *area = area_of(entries);
	int rc = 0;

	if (!area)
		return -ENOMEM;
	for (unsigned long i = 0; i < entries; i++) {
		pte_t *pte = entry_of(area + i * PAGE_SIZE);

		update[i].ptr = arbitrary_virt_to_machine(pte).maddr | MMU_NORMAL_PT_UPDATE;
		update[i].val = pte_val_ma(*pte);
	}
	/* An even number of turns leaves all of them writable. */
	for (unsigned int i = 0; i < (n + 1) / 2 * 2 && !rc; i++) {
		u64 begin;

		for (unsigned long e = 0; e < entries; e++)
			update[e].val ^= _PAGE_RW;
		begin = stamp();
		rc = HYPERVISOR_mmu_update(update, entries, NULL, DOMID_SELF);
		if (i < n)
			sample[0][i] = stamp() - begin;
	}
	vfree(area);
	return rc;
}

static int mem_tlb_flush(unsigned int n, unsigned long cmd)
{
	struct mmuext_op op = { .cmd = cmd };

	EACH_ROUND(n, HYPERVISOR_mmuext_op(&op, 1, NULL, DOMID_SELF));
	return 0;
}

/* ---- traps ---- */

/* The page behind a vmalloc area is never mapped. */
static int trap_page_fault(unsigned int n, unsigned long arg)
{
	char *area = area_of(1);
	volatile char *nowhere = area + PAGE_SIZE;

	if (!area)
		return -ENOMEM;
	for (unsigned int i = 0; i < n; i++) {
		u64 begin = stamp();

		asm volatile("1: mov (%0), %%al\n2:\n" _ASM_EXTABLE(1b, 2b)
			     : : "r"(nowhere) : "rax", "memory");
		sample[0][i] = stamp() - begin;
	}
	vfree(area);
	return 0;
}

/* ---- events ---- */

static evtchn_port_t out_port, in_port;
static int in_irq;
static volatile u64 entered, left, awake;
static volatile unsigned int heard;
static struct task_struct *waiter;
static unsigned int asked, served;
static DECLARE_COMPLETION(answered);

static irqreturn_t on_event(int irq, void *arg)
{
	entered = stamp();
	heard++;
	if (waiter) {
		smp_store_release(&asked, asked + 1);
		wake_up_process(waiter);
	}
	left = stamp();
	return IRQ_HANDLED;
}

/* A channel to ourselves; its receiving end has a handler, or (masked) none. */
static int open_channel(bool masked)
{
	struct evtchn_alloc_unbound alloc = { .dom = DOMID_SELF, .remote_dom = DOMID_SELF };
	struct evtchn_bind_interdomain bind = { .remote_dom = DOMID_SELF };
	int rc = HYPERVISOR_event_channel_op(EVTCHNOP_alloc_unbound, &alloc);

	if (rc)
		return rc;
	in_port = alloc.port;
	bind.remote_port = in_port;
	in_irq = masked ? 0 : bind_evtchn_to_irqhandler(in_port, on_event, 0, "pvbench", NULL);
	if (in_irq < 0)
		return in_irq;
	if (in_irq > 0)
		(void)irq_set_affinity(in_irq, cpumask_of(0));
	rc = HYPERVISOR_event_channel_op(EVTCHNOP_bind_interdomain, &bind);
	out_port = bind.local_port;
	return rc;
}

static void close_port(evtchn_port_t port)
{
	struct evtchn_close op = { .port = port };

	(void)HYPERVISOR_event_channel_op(EVTCHNOP_close, &op);
}

static void close_channel(void)
{
	close_port(out_port);
	if (in_irq > 0)
		unbind_from_irqhandler(in_irq, NULL);
	else
		close_port(in_port);
}

static bool await(volatile unsigned int *count, unsigned int wanted)
{
	unsigned long end = jiffies + HZ;

	while ((int)(*count - wanted) < 0) {
		cond_resched(); /* this kernel does not preempt itself otherwise */
		if (time_after(jiffies, end))
			return false;
	}
	return true;
}

static int evtchn_send(unsigned int n, unsigned long arg)
{
	int rc = open_channel(true);

	if (rc)
		return rc;
	notify_remote_via_evtchn(out_port);
	EACH_ROUND(n, notify_remote_via_evtchn(out_port));
	close_channel();
	return 0;
}

static int evtchn_self(unsigned int n, unsigned long arg)
{
	int rc = open_channel(false);

	for (unsigned int i = 0; i < n && !rc; i++) {
		unsigned int next = heard + 1;
		u64 begin = stamp(), end;

		notify_remote_via_evtchn(out_port);
		end = stamp();
		if (!await(&heard, next))
			rc = -ETIMEDOUT;
		sample[0][i] = entered - begin;
		sample[1][i] = end > left ? end - left : 0;
	}
	close_channel();
	return rc;
}

/* ---- threads ---- */

static int serve(void *arg)
{
	while (!kthread_should_stop()) {
		set_current_state(TASK_INTERRUPTIBLE);
		if (smp_load_acquire(&asked) == served && !kthread_should_stop())
			schedule();
		__set_current_state(TASK_RUNNING);
		awake = stamp();
		smp_store_release(&served, smp_load_acquire(&asked));
		complete(&answered);
	}
	return 0;
}

/* More urgent than whoever measures, on CPU (cpu). */
static int start_waiter(unsigned int cpu)
{
	struct task_struct *t = kthread_create_on_cpu(serve, NULL, cpu, "pvbench/%u");

	if (IS_ERR(t))
		return PTR_ERR(t);
	asked = served = 0;
	sched_set_fifo(t);
	wake_up_process(t);
	msleep(2);
	waiter = t;
	return 0;
}

static void stop_waiter(void)
{
	struct task_struct *t = waiter;

	waiter = NULL;
	kthread_stop(t);
}

static int evtchn_thread(unsigned int n, unsigned long arg)
{
	int rc = start_waiter(0);

	if (rc)
		return rc;
	rc = open_channel(false);
	for (unsigned int i = 0; i < n && !rc; i++) {
		unsigned int next = served + 1;
		u64 begin = stamp();

		notify_remote_via_evtchn(out_port);
		if (!await(&served, next))
			rc = -ETIMEDOUT;
		sample[0][i] = entered - begin;
		sample[1][i] = awake - entered;
		sample[2][i] = awake - begin;
	}
	close_channel();
	stop_waiter();
	return rc;
}

/* On this CPU it runs at once, on another one we sleep until it has answered. */
static int thread_wake(unsigned int n, unsigned long cpu)
{
	int rc = start_waiter(cpu);

	for (unsigned int i = 0; i < n && !rc; i++) {
		unsigned int next = served + 1;
		u64 begin, end;

		if (cpu)
			usleep_range(20, 30); /* it is to be idle again */
		reinit_completion(&answered);
		smp_store_release(&asked, next);
		begin = stamp();
		wake_up_process(waiter);
		if (cpu)
			(void)wait_for_completion_timeout(&answered, HZ);
		else
			cond_resched();
		if (!await(&served, next))
			rc = -ETIMEDOUT;
		end = stamp();
		sample[0][i] = awake - begin;
		sample[1][i] = cpu ? end - begin : end - awake;
	}
	stop_waiter();
	return rc;
}

static int yield_for_ever(void *arg)
{
	while (!kthread_should_stop())
		yield();
	return 0;
}

/* Whoever measures has the same real-time priority. There and back: half of it counts outside. */
static int thread_switch(unsigned int n, unsigned long arg)
{
	struct task_struct *t = kthread_create_on_cpu(yield_for_ever, NULL, 0, "pvbench/%u");

	if (IS_ERR(t))
		return PTR_ERR(t);
	sched_set_fifo_low(t);
	wake_up_process(t);
	yield();
	EACH_ROUND(n, yield());
	kthread_stop(t);
	return 0;
}

static int return_zero(void *arg)
{
	return 0;
}

static int thread_create(unsigned int n, unsigned long arg)
{
	for (unsigned int i = 0; i < n; i++) {
		u64 begin = stamp();
		struct task_struct *t = kthread_run(return_zero, NULL, "pvbench");

		if (IS_ERR(t))
			return PTR_ERR(t);
		kthread_stop(t);
		sample[0][i] = stamp() - begin;
	}
	return 0;
}

static void note_moment(void *arg)
{
	entered = stamp();
}

static int smp_ipi(unsigned int n, unsigned long arg)
{
	for (unsigned int i = 0; i < n; i++) {
		u64 begin = stamp(), end;

		if (smp_call_function_single(1, note_moment, NULL, 1))
			return -ENXIO;
		end = stamp();
		sample[0][i] = entered - begin;
		sample[1][i] = end - begin;
	}
	return 0;
}

/* ---- locks, time ---- */

static int lock_spin(unsigned int n, unsigned long times)
{
	static DEFINE_SPINLOCK(l);
	unsigned long flags;

	EACH_ROUND(n, for (unsigned long t = 0; t < times; t++) {
		spin_lock_irqsave(&l, flags);
		spin_unlock_irqrestore(&l, flags);
	});
	return 0;
}

static int lock_mutex(unsigned int n, unsigned long times)
{
	static DEFINE_MUTEX(m);

	EACH_ROUND(n, for (unsigned long t = 0; t < times; t++) {
		mutex_lock(&m);
		mutex_unlock(&m);
	});
	return 0;
}

static int time_read(unsigned int n, unsigned long times)
{
	EACH_ROUND(n, for (unsigned long t = 0; t < times; t++) (void)ktime_get());
	return 0;
}

static ktime_t fired;
static struct completion done;

static enum hrtimer_restart on_timer(struct hrtimer *t)
{
	fired = ktime_get();
	complete(&done);
	return HRTIMER_NORESTART;
}

/* In nanoseconds, not in ticks. */
static int time_lateness(unsigned int n, unsigned long ahead)
{
	struct hrtimer timer;

	hrtimer_init_on_stack(&timer, CLOCK_MONOTONIC, HRTIMER_MODE_ABS);
	timer.function = on_timer;
	for (unsigned int i = 0; i < n; i++) {
		ktime_t deadline = ktime_add_ns(ktime_get(), ahead);

		init_completion(&done);
		hrtimer_start(&timer, deadline, HRTIMER_MODE_ABS);
		if (!wait_for_completion_timeout(&done, HZ))
			break;
		sample[0][i] = max_t(s64, ktime_to_ns(ktime_sub(fired, deadline)), 0);
	}
	hrtimer_cancel(&timer);
	destroy_hrtimer_on_stack(&timer);
	return 0;
}

/* ---- grants, xenstore ---- */

static domid_t own_domid(void)
{
	unsigned int id = 0;

	(void)xenbus_scanf(XBT_NIL, "domid", "", "%u", &id);
	return id;
}

static int grant_page(unsigned int n, unsigned long arg)
{
	struct page *page = alloc_page(GFP_KERNEL | __GFP_ZERO);
	domid_t self = own_domid();

	if (!page)
		return -ENOMEM;
	for (unsigned int i = 0; i < n; i++) {
		u64 begin = stamp(), middle;
		int ref = gnttab_grant_foreign_access(self, xen_page_to_gfn(page), 0);

		middle = stamp();
		if (ref < 0)
			break;
		gnttab_end_foreign_access(ref, NULL);
		sample[1][i] = stamp() - middle;
		sample[0][i] = middle - begin;
	}
	__free_page(page);
	return 0;
}

static int grant_copy(unsigned int n, unsigned long arg)
{
	struct page *from = alloc_page(GFP_KERNEL | __GFP_ZERO), *to = alloc_page(GFP_KERNEL);
	domid_t self = own_domid();
	int ref = from && to ? gnttab_grant_foreign_access(self, xen_page_to_gfn(from), 0) : -ENOMEM;

	for (unsigned int i = 0; i < n && ref >= 0; i++) {
		struct gnttab_copy op = { .source = { .u.ref = ref, .domid = self },
					  .dest = { .u.gmfn = xen_page_to_gfn(to), .domid = DOMID_SELF },
					  .len = PAGE_SIZE,
					  .flags = GNTCOPY_source_gref };
		u64 begin = stamp();

		HYPERVISOR_grant_table_op(GNTTABOP_copy, &op, 1);
		sample[0][i] = stamp() - begin;
	}
	if (ref >= 0)
		gnttab_end_foreign_access(ref, NULL);
	if (from)
		__free_page(from);
	if (to)
		__free_page(to);
	return ref < 0 ? ref : 0;
}

static int xenstore_read(unsigned int n, unsigned long arg)
{
	EACH_ROUND(n, kfree(xenbus_read(XBT_NIL, "domid", "", NULL)));
	return 0;
}

static int xenstore_write(unsigned int n, unsigned long arg)
{
	EACH_ROUND(n, (void)xenbus_write(XBT_NIL, "data", "pvbench", "0123456789"));
	return xenbus_rm(XBT_NIL, "data", "pvbench");
}

static void transact(void)
{
	struct xenbus_transaction t;

	if (xenbus_transaction_start(&t))
		return;
	kfree(xenbus_read(t, "domid", "", NULL));
	(void)xenbus_write(t, "data", "pvbench", "1");
	(void)xenbus_transaction_end(t, 0);
}

static int xenstore_transaction(unsigned int n, unsigned long arg)
{
	EACH_ROUND(n, transact());
	return xenbus_rm(XBT_NIL, "data", "pvbench");
}

static void on_watch(struct xenbus_watch *w, const char *path, const char *token)
{
	entered = stamp();
	complete(&done);
}

static int xenstore_watch(unsigned int n, unsigned long arg)
{
	static struct xenbus_watch watch = { .node = "data/pvbench", .callback = on_watch };
	int rc;

	init_completion(&done);
	rc = register_xenbus_watch(&watch);
	if (rc)
		return rc;
	(void)wait_for_completion_timeout(&done, HZ); /* the one at the start */
	for (unsigned int i = 0; i < n; i++) {
		u64 begin;

		reinit_completion(&done);
		begin = stamp();
		(void)xenbus_write(XBT_NIL, "data", "pvbench", "x");
		if (!wait_for_completion_timeout(&done, HZ))
			rc = -ETIMEDOUT;
		sample[0][i] = entered - begin;
	}
	unregister_xenbus_watch(&watch);
	(void)xenbus_rm(XBT_NIL, "data", "pvbench");
	return rc;
}

/* ---- the file ---- */

static const struct probe {
	const char *name;
	int (*run)(unsigned int rounds, unsigned long arg);
	unsigned long arg;
	unsigned int series;
} probes[] = {
	{ "hypercall.null", hypercall_null, 0, 1 },
	{ "hypercall.yield", hypercall_yield, 0, 1 },
	{ "hypercall.multicall.1", hypercall_multicall, 1, 1 },
	{ "hypercall.multicall.8", hypercall_multicall, 8, 1 },
	{ "hypercall.multicall.64", hypercall_multicall, 64, 1 },
	{ "trap.page_fault", trap_page_fault, 0, 1 },
	{ "mem.update_va", mem_update_va, UVMF_NONE, 1 },
	{ "mem.update_va.flush", mem_update_va, UVMF_INVLPG | UVMF_ALL, 1 },
	{ "mem.mmu_update.1", mem_mmu_update, 1, 1 },
	{ "mem.mmu_update.8", mem_mmu_update, 8, 1 },
	{ "mem.mmu_update.64", mem_mmu_update, 64, 1 },
	{ "mem.mmu_update.512", mem_mmu_update, 512, 1 },
	{ "mem.tlb_flush.local", mem_tlb_flush, MMUEXT_TLB_FLUSH_LOCAL, 1 },
	{ "mem.tlb_flush.all", mem_tlb_flush, MMUEXT_TLB_FLUSH_ALL, 1 },
	{ "evtchn.send", evtchn_send, 0, 1 },
	{ "evtchn.self.handler", evtchn_self, 0, 2 },
	{ "evtchn.thread.handler", evtchn_thread, 0, 3 },
	{ "thread.switch", thread_switch, 0, 1 },
	{ "thread.wake", thread_wake, 0, 2 },
	{ "thread.create", thread_create, 0, 1 },
	{ "lock.spin", lock_spin, 16, 1 },
	{ "lock.mutex", lock_mutex, 16, 1 },
	{ "time.read", time_read, 16, 1 },
	{ "time.lateness.10us", time_lateness, 10000, 1 },
	{ "time.lateness.100us", time_lateness, 100000, 1 },
	{ "time.lateness.1ms", time_lateness, 1000000, 1 },
	{ "time.lateness.10ms", time_lateness, 10000000, 1 },
	{ "smp.ipi.handler", smp_ipi, 0, 2 },
	{ "smp.wake", thread_wake, 1, 2 },
	{ "grant.page", grant_page, 0, 2 },
	{ "grant.copy", grant_copy, 0, 1 },
	{ "xenstore.read", xenstore_read, 0, 1 },
	{ "xenstore.write", xenstore_write, 0, 1 },
	{ "xenstore.transaction", xenstore_transaction, 0, 1 },
	{ "xenstore.watch", xenstore_watch, 0, 1 },
};

static int run_probe(const char *name, unsigned int rounds)
{
	for (size_t i = 0; i < ARRAY_SIZE(probes); i++) {
		if (strcmp(name, probes[i].name))
			continue;
		memset(sample, 0, sizeof(sample));
		nr_series = probes[i].series;
		nr_rounds = rounds;
		return probes[i].run(rounds, probes[i].arg);
	}
	return -ENOENT;
}

static ssize_t on_write(struct file *file, const char __user *buf, size_t len, loff_t *pos)
{
	char text[80] = "", name[64];
	unsigned int rounds;
	int rc;

	if (len >= sizeof(text) || copy_from_user(text, buf, len))
		return -EINVAL;
	if (sscanf(text, "mark %u", &rounds) == 1) {
		(void)HYPERVISOR_vcpu_op(VCPUOP_is_up, rounds, NULL);
		return len;
	}
	if (sscanf(text, "%63s %u", name, &rounds) != 2 || rounds == 0 || rounds > ROUNDS_MAX)
		return -EINVAL;
	mutex_lock(&running);
	rc = run_probe(name, rounds);
	mutex_unlock(&running);
	return rc ? rc : len;
}

static ssize_t on_read(struct file *file, char __user *buf, size_t len, loff_t *pos)
{
	size_t each = nr_rounds * sizeof(sample[0][0]);

	if (len < nr_series * each)
		return -EINVAL;
	for (unsigned int s = 0; s < nr_series; s++)
		if (copy_to_user(buf + s * each, sample[s], each))
			return -EFAULT;
	return nr_series * each;
}

static const struct proc_ops ops = { .proc_write = on_write, .proc_read = on_read };

static int __init start(void)
{
	if (!xen_domain())
		return -ENODEV;
	return proc_create("pvbench", 0600, NULL, &ops) ? 0 : -ENOMEM;
}

static void __exit stop(void)
{
	remove_proc_entry("pvbench", NULL);
}

module_init(start);
module_exit(stop);
MODULE_DESCRIPTION("Xen primitives, measured");
MODULE_LICENSE("Dual BSD/GPL");
